"""The JSON of the OpenAI chat completions API, as OpenAI, vLLM and other servers speak it.

https://platform.openai.com/docs/api-reference/chat
"""

from typing import Any

import msgspec
from msgspec import Struct

from app.events import Usage
from app.messages import AssistantMessage, Message, ToolMessage
from app.models.calls import functions
from app.models.protocol import ModelRequest


class Function(Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class Call(Struct):
    index: int | None = None
    id: str | None = None
    function: Function | None = None


class Delta(Struct):
    """A piece of a message, or a whole one."""

    content: str | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


class Choice(Struct):
    delta: Delta | None = None
    message: Delta | None = None
    finish_reason: str | None = None


class PromptDetails(Struct):
    cached_tokens: int | None = None
    cache_write_tokens: int | None = None


class TokenUsage(Struct):
    prompt_tokens: int = 0
    completion_tokens: int = 0
    prompt_tokens_details: PromptDetails | None = None

    def to_usage(self) -> Usage:
        details = self.prompt_tokens_details or PromptDetails()
        return Usage(
            self.prompt_tokens,
            self.completion_tokens,
            details.cached_tokens or 0,
            details.cache_write_tokens or 0,
        )


class ChatCompletion(Struct):
    """A chunk of a stream, or a whole answer."""

    choices: list[Choice] = []
    usage: TokenUsage | None = None
    error: Any = None


decode = msgspec.json.Decoder(ChatCompletion).decode
_encode = msgspec.json.Encoder().encode


def encode_request(request: ModelRequest, model: str, max_tokens_field: str) -> bytes:
    body: dict[str, Any] = {
        "model": model,
        "messages": [*_system(request.system), *map(_message, request.messages)],
        max_tokens_field: request.max_tokens,
        "stream": request.stream,
    }
    if request.stream:
        body["stream_options"] = {"include_usage": True}
    if request.tools:
        body["tools"] = functions(request.tools)
    return _encode(body)


def _system(system: str) -> list[dict[str, Any]]:
    return [{"role": "system", "content": system}] if system else []


def _message(message: Message) -> Message | dict[str, Any]:
    if isinstance(message, ToolMessage):
        return {"role": "tool", "tool_call_id": message.tool_call_id, "content": message.content}
    if isinstance(message, AssistantMessage) and message.tool_calls:
        return {
            "role": "assistant",
            "content": message.content or None,
            "tool_calls": [
                {
                    "id": call.id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": _encode(call.arguments).decode()},
                }
                for call in message.tool_calls
            ],
        }
    return message  # its own JSON is that of the API
