"""From a session's turns to the messages a model is given: repaired, then trimmed by whole turns."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from msgspec.structs import replace

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Turn, UserMessage
from app.models.estimates import BYTES_A_TOKEN, estimated_message_tokens
from app.runs.shortening import shorten, without_extras
from app.runs.valid_calls import with_distinct_ids

UNANSWERED = "[This was not answered: the run was interrupted.]"
"""Stands for the answer of a turn that has none: conversations of some models have to alternate."""

_LOST = "The result of this call was lost."


class History(NamedTuple):
    messages: list[Message]
    left_out: bool = False
    """Older turns did not fit."""
    shortened: bool = False
    """Not even the newest turn did, and it is not all there."""


def turns_of(messages: Iterable[Message]) -> list[Turn]:
    """A conversation cut before each of the user's messages."""
    turns: list[list[Message]] = []
    for message in messages:
        if isinstance(message, UserMessage) or not turns:
            turns.append([])
        turns[-1].append(message)
    return [Turn("", 0.0, tuple(turn)) for turn in turns]


def repair(turn: Turn) -> tuple[Message, ...]:
    """The turn's messages such that every provider accepts them.

    A turn starts with its user's message; every tool call is followed by its result; no result stands without its
    call; the turn ends with an answer, if only with a note that there is none. A turn without a question is left out:
    the result is empty.
    """
    messages = turn.messages
    if _is_plain(turn) or not messages:
        return messages
    return _repaired(messages) if isinstance(messages[0], UserMessage) else ()


def _is_plain(turn: Turn) -> bool:
    """Whether it is as most are: a question and an answer that is all there."""
    if len(turn.messages) != 2:
        return False
    question, answer = turn.messages
    if type(question) is not UserMessage or type(answer) is not AssistantMessage:
        return False
    if answer.tool_calls or answer.interrupted or answer.extras is not None:
        return False
    return answer.content != "" and not answer.content.isspace()


def _says(message: Message) -> bool:
    return bool(message.content) and not message.content.isspace()


def _repaired(messages: Iterable[Message]) -> tuple[Message, ...]:
    repaired: list[Message] = []
    open_calls: dict[str, str] = {}  # id → name

    def close() -> None:
        repaired.extend(ToolMessage(id_, name, _LOST, is_error=True) for id_, name in open_calls.items())
        open_calls.clear()

    for message in messages:
        match message:
            case ToolMessage():
                if open_calls.pop(message.tool_call_id, None) is not None:
                    repaired.append(message)
            case UserMessage():
                close()
                if repaired and not _is_answer(repaired[-1]):
                    repaired.append(AssistantMessage(UNANSWERED))
                repaired.append(message)
            case AssistantMessage(tool_calls=()) if not _says(message):
                pass
            case AssistantMessage():
                close()
                calls = _first_of_each_id(message.tool_calls)
                repaired.append(replace(message, tool_calls=calls, interrupted=False))
                open_calls.update((call.id, call.name) for call in calls)
    close()
    if not _is_answer(repaired[-1]):
        repaired.append(AssistantMessage(UNANSWERED))
    return tuple(repaired)


def _is_answer(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and not message.tool_calls


def _first_of_each_id(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    by_id: dict[str, ToolCall] = {}
    for call in calls:
        by_id.setdefault(call.id, call)
    return tuple(by_id.values())


def trim(
    turns: Sequence[Turn], max_tokens: int, *, question: str = "", model: str = "", size: int | None = None
) -> History:
    """The messages of as many of the last turns as fit into `max_tokens`, by the estimate of `sizes`.

    `size` is that of the turns in JSON, if it is known: what is small enough so need not be measured again.
    The newest is shortened to what fits. A turn is without its extras where they are another model's, or do not fit.
    Left out is a question that was not answered and then asked again, as clients do after a failure.
    """
    if size is not None and size <= max_tokens * BYTES_A_TOKEN and all(map(_is_plain, turns)):
        return History([message for turn in turns for message in turn.messages])
    kept: list[tuple[Message, ...]] = []
    used: set[str] = set()  # ids of calls
    left, asked_next, left_out, shortened = max_tokens, question, False, False
    for turn in reversed(turns):
        messages = turn.messages
        if _is_plain(turn):
            size = estimated_message_tokens(messages)
        elif _asked_again(turn, asked_next) or not (messages := repair(turn)):
            continue
        else:
            messages, size = _fitted(with_distinct_ids(messages, used), left, model)
        asked_next = messages[0].content
        if size > left:
            left_out = True
            if not kept and left > 0:
                messages, shortened = shorten(messages, left), True
                kept.append(messages)
            break
        left -= size
        kept.append(messages)
    return History([message for messages in reversed(kept) for message in messages], left_out, shortened)


def _asked_again(turn: Turn, question: str) -> bool:
    if not question or len(turn.messages) > 2:
        return False
    match turn.messages:
        case (UserMessage(said), *rest) if said == question:
            return all(isinstance(one, AssistantMessage) and not (one.content or one.tool_calls) for one in rest)
    return False


def _fitted(messages: tuple[Message, ...], tokens: int, model: str) -> tuple[tuple[Message, ...], int]:
    """The messages with those extras that the model may be given and that fit, and their size."""
    messages = without_extras(messages, but_of=model)
    size = estimated_message_tokens(messages)
    if size > tokens and (bare := without_extras(messages)) is not messages:
        return bare, estimated_message_tokens(bare)
    return messages, size
