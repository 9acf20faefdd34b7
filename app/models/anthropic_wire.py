"""The JSON of Anthropic's messages API: what is asked, and what comes back plain or as events.

https://platform.claude.com/docs/en/api/messages
"""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from app.events import Usage
from app.messages import AssistantMessage, Message, ToolMessage, UserMessage
from app.models.protocol import ModelRequest

CACHE = {"type": "ephemeral"}
"""Marks the end of what is kept for five minutes: a prompt that begins the same costs a fraction up to here."""

BLANK = "(a blank message)"
"""Stands for a message of white space, which Anthropic does not take."""

_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")


class TokenUsage(Struct):
    """Cumulative. In a stream, `message_start` has all of it and `message_delta` what has changed."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None

    def to_usage(self) -> Usage:
        """`input_tokens` on the wire are those neither read from nor written to the cache."""
        read, written = self.cache_read_input_tokens or 0, self.cache_creation_input_tokens or 0
        return Usage((self.input_tokens or 0) + read + written, self.output_tokens or 0, read, written)


class Block(Struct):
    """A piece of a message: of the types there are, `text` and `tool_use` belong to an answer."""

    type: str
    text: str = ""
    id: str = ""
    name: str = ""
    input: Any = None


class Reply(Struct):
    content: list[Block] = []
    stop_reason: str | None = None
    usage: TokenUsage | None = None


class Delta(Struct):
    """Of a block: `text` or `partial_json`. Of the message: `stop_reason`."""

    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class Failure(Struct):
    type: str = ""
    message: str = ""


class Event(Struct):
    """Any event of a stream; types that are not known are to be skipped."""

    type: str
    index: int = 0
    delta: Delta | None = None
    content_block: Block | None = None
    message: Reply | None = None
    usage: TokenUsage | None = None
    error: Failure | None = None


decode_event = msgspec.json.Decoder(Event).decode
decode_reply = msgspec.json.Decoder(Reply).decode


def request_body(request: ModelRequest, model: str) -> dict[str, Any]:
    """The parameters of `messages.create`. Cached are the tools, with the system prompt, and the conversation,
    which the next iteration and the next turn begin with."""
    messages = _messages(request.messages)
    messages[-1]["content"][-1]["cache_control"] = CACHE
    body: dict[str, Any] = {"model": model, "max_tokens": request.max_tokens, "messages": messages}
    if request.system:
        body["system"] = [{"type": "text", "text": request.system, "cache_control": CACHE}]
    if request.tools:
        body["tools"] = tools = [
            {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
            for tool in request.tools
        ]
        tools[-1]["cache_control"] = CACHE
    return body


def _messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Results of calls that were made together have to be in one message; empty answers are left out."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        role = "assistant" if isinstance(message, AssistantMessage) else "user"
        blocks = list(_blocks(message))
        if blocks and turns and turns[-1]["role"] == role:
            turns[-1]["content"].extend(blocks)
        elif blocks:
            turns.append({"role": role, "content": blocks})
    return turns


def _blocks(message: Message) -> Iterable[dict[str, Any]]:
    if isinstance(message, ToolMessage):
        yield {
            "type": "tool_result",
            "tool_use_id": _id(message.tool_call_id),
            "content": message.content,
            "is_error": message.is_error,
        }
        return
    if message.content.strip():
        yield {"type": "text", "text": message.content}
    elif isinstance(message, UserMessage):
        yield {"type": "text", "text": BLANK}
    if isinstance(message, AssistantMessage):
        for call in message.tool_calls:
            yield {"type": "tool_use", "id": _id(call.id), "name": call.name, "input": call.arguments}


def _id(call_id: str) -> str:
    """Calls that another provider's model has made may have ids that Anthropic does not take."""
    return _NOT_IN_IDS.sub("_", call_id)
