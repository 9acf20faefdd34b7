"""From a session's turns to the messages a model is given: repaired, then trimmed by whole turns.

A provider's cache reads a prompt as far as it begins like the one before. So the history grows until it is full, and is
then cut to half: between two cuts it only gets longer. Where it is cut follows from the turns alone.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec import Struct

from app.messages import AssistantMessage, Message, Turn, UserMessage
from app.models.estimates import BYTES_A_TOKEN, estimated_message_tokens
from app.runs.repair import is_plain, repair
from app.runs.shortening import shorten, without_extras
from app.runs.valid_calls import with_distinct_ids

_TOKENS_OF_AN_ID = 4
"""That a call may grow by where its id is taken."""


class History(NamedTuple):
    messages: list[Message]
    left_out: bool = False
    """Older turns did not fit."""
    shortened: bool = False
    """Not even the newest turn did, and it is not all there."""


class _Told(Struct, gc=False):
    """A turn as a model may be told of it, and its size, which depends on nothing but the turn and the model."""

    messages: tuple[Message, ...]
    tokens: int
    plain: bool = True


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """A conversation cut before each of the user's messages."""
    turns: list[list[Message]] = []
    for message in messages:
        if isinstance(message, UserMessage) or not turns:
            turns.append([])
        turns[-1].append(message)
    return [Turn("", 0.0, tuple(turn)) for turn in turns]


def trim(
    turns: Sequence[Turn], max_tokens: int, *, question: str = "", model: str = "", size: int | None = None
) -> History:
    """The messages of the last turns, in at most `max_tokens` by the estimate of `estimates`.

    Turns are added until they are more than that; then the oldest go until the rest takes half, and what is kept goes
    without its extras. The newest always stays, shortened to what fits.
    `size` is that of the turns in JSON, if it is known: what is small enough so need not be measured.
    Left out is a question that was not answered and then asked again, as clients do after a failure.
    """
    if size is not None and size <= max_tokens * BYTES_A_TOKEN and all(map(is_plain, turns)):
        return History([message for turn in turns for message in turn.messages])
    told = _told(turns, max_tokens, question, model)
    first = _cut(told, max_tokens)
    messages = _with_distinct_ids(told[first:])
    if first == len(told) - 1 and told[first].tokens > max_tokens:
        shortened = list(shorten(tuple(messages), max_tokens)) if max_tokens else []
        return History(shortened, left_out=True, shortened=max_tokens > 0)
    return History(messages, left_out=first > 0)


def _cut(told: list[_Told], max_tokens: int) -> int:
    """The place of the first turn that is kept. Takes the extras from the turns that were kept at the last cut."""
    first = total = 0
    for place, turn in enumerate(told):
        total += turn.tokens
        if total > max_tokens:
            _bare(told, first, place)
            before, first, total = first, place, turn.tokens
            while first > before and total + told[first - 1].tokens <= max_tokens // 2:
                first -= 1
                total += told[first].tokens
    return first


def _bare(told: list[_Told], first: int, end: int) -> None:
    for place in range(first, end):
        turn = told[place]
        if not turn.plain and (messages := without_extras(turn.messages)) is not turn.messages:
            told[place] = _measured(messages)


def _told(turns: Sequence[Turn], max_tokens: int, question: str, model: str) -> list[_Told]:
    told: list[_Told] = []
    asked_next = question
    for turn in reversed(turns):
        if is_plain(turn):
            told.append(_Told(turn.messages, estimated_message_tokens(turn.messages)))
        elif _asked_again(turn, asked_next) or not (messages := repair(turn)):
            continue
        else:
            told.append(_fitted(messages, max_tokens // 2, model))
        asked_next = told[-1].messages[0].content
    told.reverse()
    return told


def _asked_again(turn: Turn, question: str) -> bool:
    if not question or len(turn.messages) > 2:
        return False
    match turn.messages:
        case (UserMessage(said), *rest) if said == question:
            return all(isinstance(one, AssistantMessage) and not (one.content or one.tool_calls) for one in rest)
    return False


def _fitted(messages: tuple[Message, ...], max_tokens: int, model: str) -> _Told:
    """With those extras that the model may be given, unless they alone would fill what a cut leaves."""
    told = _measured(without_extras(messages, but_of=model))
    if told.tokens > max_tokens and (bare := without_extras(messages)) is not messages:
        return _measured(bare)
    return told


def _measured(messages: tuple[Message, ...]) -> _Told:
    calls = sum([len(message.tool_calls) for message in messages if type(message) is AssistantMessage])
    return _Told(messages, estimated_message_tokens(messages) + calls * _TOKENS_OF_AN_ID, plain=False)


def _with_distinct_ids(told: Iterable[_Told]) -> list[Message]:
    """From the oldest on: a turn that is added changes none before it."""
    used: set[str] = set()
    messages: list[Message] = []
    for turn in told:
        messages.extend(turn.messages if turn.plain else with_distinct_ids(turn.messages, used))
    return messages
