"""The JSON of Ollama's own chat API.

https://github.com/ollama/ollama/blob/main/docs/api.md
"""

from typing import Any

import msgspec
from msgspec import Struct

from app.messages import AssistantMessage, Message, ToolMessage
from app.models.calls import functions
from app.models.protocol import ModelRequest, ToolSpec


class Function(Struct):
    name: str
    arguments: Any = None


class Call(Struct):
    function: Function
    id: str | None = None


class Reply(Struct):
    """What the model says; its `thinking` is not part of the answer and is not read."""

    content: str = ""
    tool_calls: list[Call] | None = None


class Chunk(Struct):
    """A line of a stream, or a whole answer. The last one is `done` and has the counts."""

    message: Reply | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int = 0
    eval_count: int = 0
    error: str | None = None


_decoder = msgspec.json.Decoder(Chunk)
decode = _decoder.decode
decode_lines = _decoder.decode_lines
_encode = msgspec.json.Encoder().encode


def encode_request(
    request: ModelRequest, model: str, num_ctx: int, keep_alive: str, tools: tuple[ToolSpec, ...]
) -> bytes:
    """`truncate` and `shift` are off: Ollama would else drop messages before the answer, or the start of the
    prompt in the midst of it, without a word. Old servers do not know them."""
    body: dict[str, Any] = {
        "model": model,
        "messages": [*_system(request.system), *map(_message, request.messages)],
        "stream": request.stream,
        "truncate": False,
        "shift": False,
        "keep_alive": keep_alive,
        "options": {"num_ctx": num_ctx, "num_predict": request.max_tokens},
    }
    if tools:
        body["tools"] = functions(tools)
    return _encode(body)


def _system(system: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}] if system else []


def _message(message: Message) -> Message | dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {
            "role": "tool",
            "tool_name": message.name,
            "tool_call_id": message.tool_call_id,
            "content": message.content,
        }
    if isinstance(message, AssistantMessage) and message.tool_calls:
        return {
            "role": "assistant",
            "content": message.content,
            "tool_calls": [
                {"id": call.id, "function": {"index": index, "name": call.name, "arguments": call.arguments}}
                for index, call in enumerate(message.tool_calls)
            ],
        }
    return message  # its own JSON is that of the API
