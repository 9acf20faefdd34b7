"""Requests of the chat completions API."""

from typing import Any

import msgspec

from app.messages import AssistantMessage, ToolCall, UserMessage
from app.models.options import NO_OPTIONS, ModelOptions
from app.models.protocol import ModelRequest
from app.models.providers.answer_format import json_schema, system_prompt
from app.models.providers.changes import NO_CHANGES, Changes
from app.models.providers.openai.rewriting import rewritten
from app.models.providers.tool_calls import functions

_encode = msgspec.json.Encoder().encode
FORMAT = "response_format"
"""The parameter with the schema of an answer."""

_ONLY_WITH_TOOLS = ("tool_choice", "parallel_tool_calls")


def encode_request(
    request: ModelRequest,
    model: str,
    ref: str,
    max_tokens: tuple[str, int],
    options: ModelOptions = NO_OPTIONS,
    changes: Changes = NO_CHANGES,
) -> bytes:
    """The body of a call of `model`, whose own reasoning is under `ref`; `max_tokens` has its parameter's name here."""
    stream = request.stream if changes.stream is None else changes.stream
    with_tools = bool(request.tools) and options.tools and "tools" not in changes.left_out
    system = system_prompt(request, FORMAT, changes.left_out)
    messages = [*_system(system), *_messages(request, ref, changes)]
    if changes.ways or with_tools != bool(request.tools):
        messages = rewritten(messages, changes.ways, with_tools=with_tools, told_of_tools=bool(request.tools))
    body: dict[str, Any] = {"model": model, "messages": messages, max_tokens[0]: max_tokens[1], "stream": stream}
    if stream:
        body["stream_options"] = {"include_usage": True}
    if with_tools:
        body["tools"] = functions(request.tools, "schemas_of_few_words" in changes.ways)
    if options.parameters:
        body.update(options.parameters)
        if not with_tools:
            for name in _ONLY_WITH_TOOLS:
                body.pop(name, None)
    if request.temperature is not None:
        body["temperature"] = request.temperature
    if request.response_format is not None:
        body[FORMAT] = json_schema(request.response_format)
    if changes is not NO_CHANGES:
        changes.apply(body)
    return _encode(body)


def _system(system: str) -> list[Any]:
    return [{"role": "system", "content": system}] if system else []


def _messages(request: ModelRequest, ref: str, changes: Changes) -> list[Any]:
    """The conversation. What only its provider understands goes back to the model that wrote it, with its own ids."""
    own = "reasoning_not_sent_back" not in changes.ways
    ids: dict[str, str] = {}
    written = []
    for message in request.messages:
        if isinstance(message, UserMessage):
            written.append({"role": "user", "content": message.content})
        elif isinstance(message, AssistantMessage):
            if message.content or message.tool_calls:
                written.append(_assistant(message, ref, ids, own=own))
        else:
            call_id = ids.get(message.tool_call_id, message.tool_call_id)
            written.append({"role": "tool", "tool_call_id": call_id, "content": message.content})
    return written


def _assistant(message: AssistantMessage, ref: str, ids: dict[str, str], *, own: bool) -> dict[str, Any]:
    written: dict[str, Any] = {"role": "assistant", "content": message.content}
    if message.extras is None and not message.tool_calls:
        return written
    extras = message.extras if message.extras is not None and message.extras.origin == ref else None
    if extras and own:
        written.update(extras.message)
        if isinstance(parts := extras.message.get("content"), list):
            text = [{"type": "text", "text": message.content}] if message.content else []
            written["content"] = [*parts, *text]
    if message.tool_calls:
        written["content"] = written["content"] or None
        written["tool_calls"] = calls = [_call(call) for call in message.tool_calls]
        for call in calls if extras else ():
            fields = extras.calls.get(call["id"], {}) if extras else {}
            ids[call["id"]] = fields.get("id", call["id"])
            call.update(fields if own else {"id": ids[call["id"]]})
    return written


def _call(call: ToolCall) -> dict[str, Any]:
    return {
        "id": call.id,
        "type": "function",
        "function": {"name": call.name, "arguments": _encode(call.arguments).decode()},
    }
