"""Messages without secrets, as sessions keep them."""

from collections.abc import Sequence
from typing import Any

from msgspec.structs import replace

from app.messages import AssistantMessage, Message
from app.redaction.redactor import Redactor


def clean_messages(redactor: Redactor, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Those in which there is nothing to take out are the messages themselves. Raises GuardUnavailable."""
    return tuple([_clean(redactor, message) for message in messages])


def _clean(redactor: Redactor, message: Message) -> Message:
    content = redactor.text(message.content)
    changes: dict[str, Any] = {} if content is message.content else {"content": content}
    if isinstance(message, AssistantMessage) and (message.tool_calls or message.extras is not None):
        changes |= _changes(redactor, message, changed=bool(changes))
    return replace(message, **changes) if changes else message


def _changes(redactor: Redactor, message: AssistantMessage, *, changed: bool) -> dict[str, Any]:
    """In its calls; what its provider wants back goes with what it repeats."""
    changes: dict[str, Any] = {}
    calls = [
        replace(call, arguments=redactor.value(call.arguments), malformed=redactor.text(call.malformed))
        for call in message.tool_calls
    ]
    if calls != list(message.tool_calls):
        changes["tool_calls"] = tuple(calls)
    if (extras := message.extras) is not None:
        given = [extras.message, extras.calls]
        if changed or changes or redactor.value(given) is not given:
            changes["extras"] = None
    return changes
