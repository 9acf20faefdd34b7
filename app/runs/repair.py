"""Makes a turn such that every provider accepts it: each call with its result, and an answer at its end."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Turn, UserMessage

UNANSWERED = "[This was not answered: the run was interrupted.]"
"""Stands for the answer of a turn that has none: conversations of some models have to alternate."""

_LOST = "The result of this call was lost."


def repair(turn: Turn) -> tuple[Message, ...]:
    """The turn's messages such that every provider accepts them.

    A turn starts with its user's message; every tool call is followed by its result; no result stands without its
    call; the turn ends with an answer, if only with a note that there is none. A turn without a question is left out:
    the result is empty.
    """
    messages = turn.messages
    if not messages or type(messages[0]) is not UserMessage:
        return ()
    return messages if is_plain(turn) or _is_whole(messages) else _repaired(messages)


def is_plain(turn: Turn) -> bool:
    """Whether it is as most are: a question and an answer that is all there."""
    if len(turn.messages) != 2:
        return False
    question, answer = turn.messages
    if type(question) is not UserMessage or type(answer) is not AssistantMessage:
        return False
    if answer.tool_calls or answer.interrupted or answer.extras is not None:
        return False
    return answer.content != "" and not answer.content.isspace()


def _is_whole(messages: Sequence[Message]) -> bool:
    """Whether there is nothing to repair, as in most turns with calls: it takes a tenth of the time to see that."""
    waiting: list[str] = []
    for message in messages[1:]:
        if type(message) is ToolMessage:
            if message.tool_call_id not in waiting:
                return False
            waiting.remove(message.tool_call_id)
        elif waiting or type(message) is not AssistantMessage or message.interrupted:
            return False
        elif message.tool_calls:
            waiting = [call.id for call in message.tool_calls]
            if len(set(waiting)) < len(waiting):
                return False
        elif not _says(message):
            return False
    return _is_answer(messages[-1])


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
