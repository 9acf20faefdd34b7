"""What a conversation consists of: the messages that models read and write and that sessions keep."""

from typing import Any

import msgspec
from msgspec import Struct


class ToolCall(Struct, frozen=True, omit_defaults=True):
    """A model's wish to have a tool called; `id` ties the result to it.

    `malformed` holds what the model wrote when that is not a JSON object; `arguments` is empty then, and the result
    is an error that lets the model try again.
    """

    id: str
    name: str
    arguments: dict[str, Any]
    malformed: str = ""
    withheld: bool = False
    """Its arguments held a secret, and have a placeholder in its place: it is not made."""


class UserMessage(Struct, frozen=True, tag_field="role", tag="user"):
    content: str


class Extras(Struct, frozen=True, omit_defaults=True):
    """What a provider wants to be given back with its message and nobody else reads: reasoning and its signatures."""

    origin: str
    """The reference of the model that wrote it. Other models are not given it."""
    message: dict[str, Any] = {}
    """Fields of the message, in the provider's own JSON."""
    calls: dict[str, dict[str, Any]] = {}
    """Fields of its tool calls, by their ids."""


class AssistantMessage(Struct, frozen=True, tag_field="role", tag="assistant", omit_defaults=True):
    """`interrupted`: the answer was cut by a failure, a cancellation or a limit; the content is what there was."""

    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    extras: Extras | None = None
    interrupted: bool = False


class ToolMessage(Struct, frozen=True, tag_field="role", tag="tool", omit_defaults=True):
    """A tool's result, or with `is_error` the reason why there is none."""

    tool_call_id: str
    name: str
    content: str
    is_error: bool = False
    untrusted: bool = False
    """The content is of others, and stands in a fence."""


Message = UserMessage | AssistantMessage | ToolMessage


def size_of(message: Message) -> int:
    """In bytes of UTF-8: what it says, and the tool calls and extras in it as JSON."""
    content = message.content
    size = len(content) if content.isascii() else size_of_text(content)
    if isinstance(message, AssistantMessage):
        if message.tool_calls:
            size += len(msgspec.json.encode(message.tool_calls))
        if message.extras is not None:
            size += len(msgspec.json.encode(message.extras))
    return size


def size_of_text(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "replace"))


class Turn(Struct, frozen=True, omit_defaults=True):
    """A user's message and everything up to the answer to it: what is kept or trimmed as a whole.

    `model` is the reference of the one that answered, where that was not the one that was meant to. `tainted`: content
    that nobody vouches for may have had a part in what was said, even where it is not in the turn any more.
    """

    message_id: str
    created_at: float  # seconds since the epoch
    messages: tuple[Message, ...]
    model: str = ""
    tainted: bool = False


NANOS = 1_000_000_000
"""Nano-dollars of a dollar: money is counted in whole ones."""


class Usage(Struct, frozen=True):
    """Tokens of one model call or of a whole run. `input_tokens` includes those read from and written to a cache."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0

    def __add__(self, other: "Usage") -> "Usage":
        return Usage(
            self.input_tokens + other.input_tokens,
            self.output_tokens + other.output_tokens,
            self.cache_read_tokens + other.cache_read_tokens,
            self.cache_write_tokens + other.cache_write_tokens,
        )

    @property
    def total(self) -> int:
        return self.input_tokens + self.output_tokens
