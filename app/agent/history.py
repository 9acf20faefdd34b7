"""From a session's turns to the messages a model is given: repaired, then trimmed by whole turns."""

from collections.abc import Iterable, Sequence

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Turn, UserMessage, size_of

_BYTES_A_TOKEN = 4
_TOKENS_A_MESSAGE = 4
_LOST = "The result of this call was lost."


def estimate_tokens(messages: Iterable[Message]) -> int:
    """About how many tokens the messages take: four UTF-8 bytes a token, and four tokens around each message.

    An estimate that needs no tokenizer; English text comes out close, other scripts a little high. Four times as many
    are never too few: app/agent/worst_case.py counts on it.
    """
    return sum([_TOKENS_A_MESSAGE + -(-size_of(message) // _BYTES_A_TOKEN) for message in messages])


def repair(turn: Turn) -> tuple[Message, ...]:
    """The turn's messages such that every provider accepts them.

    A turn starts with its user's message; every tool call is followed by its result; no result stands without its
    call; the turn ends with an answer. A turn that has no answer is left out: the result is empty.
    """
    match turn.messages:
        case (UserMessage(), AssistantMessage(tool_calls=()) as answer) if answer.content:  # as most are
            return turn.messages
    repaired: list[Message] = []
    open_calls: dict[str, str] = {}  # id → name

    def close() -> None:
        repaired.extend(ToolMessage(id_, name, _LOST, is_error=True) for id_, name in open_calls.items())
        open_calls.clear()

    for message in turn.messages:
        match message:
            case ToolMessage():
                if open_calls.pop(message.tool_call_id, None) is not None:
                    repaired.append(message)
            case UserMessage():
                close()
                repaired.append(message)
            case AssistantMessage(content="", tool_calls=()):
                pass
            case AssistantMessage():
                close()
                calls = _first_of_each_id(message.tool_calls)
                repaired.append(AssistantMessage(message.content, calls))
                open_calls.update((call.id, call.name) for call in calls)
    complete = (
        len(repaired) > 1
        and isinstance(repaired[0], UserMessage)
        and isinstance(repaired[-1], AssistantMessage)
        and not open_calls
    )
    return tuple(repaired) if complete else ()


def _first_of_each_id(calls: Sequence[ToolCall]) -> tuple[ToolCall, ...]:
    by_id: dict[str, ToolCall] = {}
    for call in calls:
        by_id.setdefault(call.id, call)
    return tuple(by_id.values())


def trim(turns: Sequence[Turn], max_tokens: int) -> list[Message]:
    """The messages of as many of the last turns as fit into `max_tokens`, by the estimate above."""
    kept: list[tuple[Message, ...]] = []
    left = max_tokens
    for turn in reversed(turns):
        messages = repair(turn)
        left -= estimate_tokens(messages)
        if left < 0:
            break
        kept.append(messages)
    return [message for messages in reversed(kept) for message in messages]
