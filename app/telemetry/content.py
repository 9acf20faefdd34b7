"""What users, models and tools say, as attributes of spans: the JSON of the conventions' `parts`, without secrets.

Loaded only where TRACE_CONTENT is on. Schemas: gen-ai-input-messages.json, gen-ai-output-messages.json and
gen-ai-system-instructions.json of open-telemetry/semantic-conventions-genai 0.1.0. Spans have no structured attributes
yet, so they are JSON in a string, as the conventions allow.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage
from app.telemetry import conventions
from app.telemetry.fitted_json import MESSAGE_BYTES, fitted
from app.telemetry.later import Later

ATTRIBUTE_BYTES = 4 * MESSAGE_BYTES
"""Of all messages of one span: the oldest ones are left out."""

Part = dict[str, Any]


def of_conversation(system: str, messages: Sequence[Message]) -> Later:
    """What a model is told."""
    return Later(partial(_conversation, system, tuple(messages)))


def of_output(text: str, calls: Sequence[ToolCall] = ()) -> Later:
    """What it says: one message, also where that is cut or empty."""
    return Later(partial(_output, text, calls))


def of_tool(arguments: Mapping[str, Any], result: str) -> Later:
    """What a tool is given and what it returns."""
    return Later(partial(_tool, arguments, result))


def _conversation(system: str, messages: Sequence[Message]) -> Mapping[str, str]:
    attributes = {conventions.INPUT_MESSAGES: _newest([_message(message) for message in messages])}
    if system:
        attributes[conventions.SYSTEM_INSTRUCTIONS] = f"[{fitted({'type': 'text', 'content': system})}]"
    return attributes


def _output(text: str, calls: Sequence[ToolCall]) -> Mapping[str, str]:
    return {conventions.OUTPUT_MESSAGES: f"[{fitted({'role': 'assistant', 'parts': list(_said(text, calls))})}]"}


def _tool(arguments: Mapping[str, Any], result: str) -> Mapping[str, str]:
    return {conventions.TOOL_ARGUMENTS: fitted(dict(arguments)), conventions.TOOL_RESULT: fitted(result)}


def _message(message: Message) -> str:
    match message:
        case ToolMessage():
            answer = {"type": "tool_call_response", "id": message.tool_call_id, "response": message.content}
            return fitted({"role": "tool", "parts": [answer]})
        case AssistantMessage():
            return fitted({"role": "assistant", "parts": list(_said(message.content, message.tool_calls))})
        case _:
            return fitted({"role": "user", "parts": list(_said(message.content))})


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
            kept.append(fitted({"role": "system", "parts": [{"type": "text", "content": note}]}))
            break
        kept.append(message)
    return f"[{','.join(reversed(kept))}]"
