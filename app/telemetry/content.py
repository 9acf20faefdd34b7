"""What users, models and tools say, as attributes of spans: the JSON of the conventions' `parts`, without secrets.

Loaded only where TRACE_CONTENT is on. Schemas: gen-ai-input-messages.json, gen-ai-output-messages.json and
gen-ai-system-instructions.json of open-telemetry/semantic-conventions-genai 0.1.0. Spans have no structured attributes
yet, so they are JSON in a string, as the conventions allow.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

import msgspec

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage
from app.telemetry import conventions
from app.telemetry.scrubbing import GONE, without_secrets

MESSAGE_BYTES = 8 * 1024
"""Of one message as JSON: its strings are cut until it fits."""

ATTRIBUTE_BYTES = 4 * MESSAGE_BYTES
"""Of all messages of one span: the oldest ones are left out."""

_CHUNK = 4 * MESSAGE_BYTES  # of a text that is looked through for secrets
_TAIL = 4 * 1024  # of such a chunk: it may end within a secret
_MINIMUM = 32  # bytes that a string is cut to at least

Part = dict[str, Any]


def of_conversation(system: str, messages: Sequence[Message]) -> Mapping[str, str]:
    """What a model is told."""
    attributes = {conventions.INPUT_MESSAGES: _newest([_message(message) for message in messages])}
    if system:
        attributes[conventions.SYSTEM_INSTRUCTIONS] = f"[{_fitted({'type': 'text', 'content': system})}]"
    return attributes


def of_output(text: str, calls: Sequence[ToolCall] = ()) -> Mapping[str, str]:
    """What it says: one message, also where that is cut or empty."""
    return {conventions.OUTPUT_MESSAGES: f"[{_fitted({'role': 'assistant', 'parts': list(_said(text, calls))})}]"}


def of_tool(arguments: Mapping[str, Any], result: str) -> Mapping[str, str]:
    """What a tool is given and what it returns."""
    return {conventions.TOOL_ARGUMENTS: _fitted(dict(arguments)), conventions.TOOL_RESULT: _fitted(result)}


def _message(message: Message) -> str:
    match message:
        case ToolMessage():
            answer = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.content}
            return _fitted({"role": "tool", "parts": [answer]})
        case AssistantMessage():
            return _fitted({"role": "assistant", "parts": list(_said(message.content, message.tool_calls))})
        case _:
            return _fitted({"role": "user", "parts": list(_said(message.content))})


def _said(text: str, calls: Sequence[ToolCall] = ()) -> Iterator[Part]:
    if text:
        yield {"type": "text", "content": text}
    for call in calls:
        arguments = call.malformed or call.arguments
        yield {"type": "tool_call", "id": call.id, "name": call.name, "arguments": arguments}


def _newest(messages: Sequence[str]) -> str:
    """A JSON list of the messages, oldest first, as many as there is room for."""
    kept: list[str] = []
    left = ATTRIBUTE_BYTES
    for message in reversed(messages):
        left -= len(message.encode()) + 1
        if left < 0:
            note = f"… {len(messages) - len(kept)} earlier messages are left out"
            kept.append(_fitted({"role": "system", "parts": [{"type": "text", "content": note}]}))
            break
        kept.append(message)
    return f"[{','.join(reversed(kept))}]"


def _fitted(value: object) -> str:
    """The value as JSON of at most MESSAGE_BYTES, without secrets; what is cut says so."""
    cut = MESSAGE_BYTES
    while cut >= _MINIMUM:
        encoded = msgspec.json.encode(_shown(value, cut))
        if len(encoded) <= MESSAGE_BYTES:
            return encoded.decode()
        cut = cut * MESSAGE_BYTES // len(encoded) - _MINIMUM
    note = f"… {len(encoded)} bytes"  # of very many small values
    if isinstance(value, dict) and "parts" in value:
        return _fitted({**value, "parts": [{"type": "text", "content": note}]})
    return msgspec.json.encode(note).decode()


def _shown(value: object, cut: int) -> object:
    if isinstance(value, str):
        return _cut(value, cut)
    if isinstance(value, Mapping):
        return {
            _cut(name, cut): GONE if isinstance(each, str) and _is_secret(name) else _shown(each, cut)
            for name, each in value.items()
        }
    if isinstance(value, list | tuple):
        return [_shown(each, cut) for each in value]
    return value


@lru_cache(maxsize=512)
def _is_secret(name: str) -> bool:
    """Whether what is called so is taken out of any text."""
    example = f"{name}=example"
    return without_secrets(example) != example


def _cut(text: str, size: int) -> str:
    chunk = text[:_CHUNK]
    shown = without_secrets(chunk)
    if len(chunk) < len(text):
        shown = shown[: max(len(shown) - _TAIL, 0)]
    encoded = shown.encode("utf-8", "replace")
    if len(encoded) <= size and len(chunk) == len(text):
        return encoded.decode()
    return f"{encoded[:size].decode('utf-8', 'ignore')}… {len(text)} characters"
