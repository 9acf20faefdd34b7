"""The JSON of Ollama's own chat API.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from typing import Any

import msgspec
from msgspec import Struct

from app.messages import AssistantMessage, Message, ToolMessage, UserMessage
from app.models.options import ModelOptions
from app.models.protocol import ModelRequest
from app.models.providers.answer_format import system_prompt
from app.models.providers.changes import Changes
from app.models.providers.tool_calls import functions


class Function(Struct):
    name: str | None = None
    arguments: Any = None


class Call(Struct):
    function: Function | None = None
    id: str | None = None


class Reply(Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[Call] | None = None


class Chunk(Struct):
    """A line of a stream, or a whole answer. The last one is `done` and has the counts."""

    message: Reply | None = None
    done: bool | None = None
    done_reason: str | None = None
    prompt_eval_count: Any = 0
    eval_count: Any = 0
    error: Any = None


FORMAT = "format"
"""The parameter with the schema of an answer."""

_decoder = msgspec.json.Decoder(Chunk)
decode = _decoder.decode
decode_lines = _decoder.decode_lines
_encode = msgspec.json.Encoder().encode


def encode_request(
    request: ModelRequest,
    model: str,
    ref: str,
    max_tokens: int,
    num_ctx: int,
    keep_alive: str | int,  # a duration with its unit, or seconds
    options: ModelOptions,
    changes: Changes,
) -> bytes:
    """`truncate` and `shift` are off: Ollama would else drop messages before the answer, or the start of the
    prompt in the midst of it, without a word. Old servers do not know them. `ref` is the model's: it is given back
    its own thinking."""
    with_tools = bool(request.tools) and options.tools and "tools" not in changes.left_out
    system = system_prompt(request, FORMAT, changes.left_out)
    body: dict[str, Any] = {
        "model": model,
        "messages": [
            *_system(system),
            *(_message(message, ref) for message in request.messages),
        ],
        "stream": request.stream if changes.stream is None else changes.stream,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": {"num_ctx": num_ctx, "num_predict": max_tokens},
    }
    if with_tools:
        body["tools"] = functions(request.tools)
    if further := options.parameters:
        own = further.get("options")
        body.update(further, options={**(own if isinstance(own, dict) else {}), **body["options"]})
    if request.temperature is not None:
        body["options"]["temperature"] = request.temperature
    if request.response_format is not None:
        body[FORMAT] = request.response_format
    for name in changes.left_out:
        body.pop(name, None)
    return _encode(body)


def _system(system: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}] if system else []


def _message(message: Message, ref: str) -> dict[str, Any]:
    match message:
        case ToolMessage():
            return {
                "role": "tool",
                "tool_name": message.name,
                "tool_call_id": message.tool_call_id,
                "content": message.content,
            }
        case AssistantMessage():
            return _assistant(message, ref)
        case UserMessage():
            return {"role": "user", "content": message.content}


def _assistant(message: AssistantMessage, ref: str) -> dict[str, Any]:
    written: dict[str, Any] = {"role": "assistant", "content": message.content}
    if message.extras is not None and message.extras.origin == ref:
        written.update(message.extras.message)
    if message.tool_calls:
        written["tool_calls"] = [
            {"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}}
            for index, call in enumerate(message.tool_calls)
        ]
    return written
