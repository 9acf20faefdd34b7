"""Marks in a request at which Anthropic's cache keeps its beginning: tools, system prompt, messages, in this order.

Writing costs 1.25 or 2 times the input, reading a tenth of it or less. Each mark keeps all up to it, and reads the
longest kept beginning that ends at one of the 20 blocks before it. Four marks are allowed.
https://platform.claude.com/docs/en/build-with-claude/prompt-caching
"""

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Literal

import msgspec
from msgspec import Struct

from app.messages import size_of_text
from app.models.protocol import ModelRequest, ToolSpec

Ttl = Literal["5m", "1h"]

_MINIMUMS = (
    (re.compile(r"claude-(?:opus-4-[56]|haiku-4-5)"), 4096),
    (re.compile(r"claude-opus-4-7|claude-mythos-preview|claude-(?:3-5-haiku|3-haiku)"), 2048),
    (re.compile(r"claude-(?:opus-4|sonnet-(?:4|5(?!-\d{1,2}(?!\d)))|3)"), 1024),
)
"""Tokens that a beginning needs to be kept, by the page above in October 2026. Shorter ones are not kept, silently."""

_LEAST = 512
"""Of all newer models, and of those that are not known."""

_LEAST_BYTES_A_TOKEN = 2
"""Of text that models write and read: a beginning of fewer bytes than this has too few tokens."""


def least_tokens(model: str) -> int:
    """Of a beginning that the model's cache keeps."""
    return next((tokens for names, tokens in _MINIMUMS if names.match(model)), _LEAST)


class Marks(Struct, frozen=True):
    """Where the requests to one model are marked."""

    control: Mapping[str, str]
    least_bytes: int

    @classmethod
    def of(cls, model: str, ttl: Ttl) -> "Marks":
        control = {"type": "ephemeral"} if ttl == "5m" else {"type": "ephemeral", "ttl": ttl}
        return cls(control, least_tokens(model) * _LEAST_BYTES_A_TOKEN)

    def set(self, body: dict[str, Any], request: ModelRequest, *, messages: bool) -> None:
        """Mark the tools and the system prompt, which other conversations begin with as well, and with `messages` the
        end of them and where the call before ended: a round of calls may be more than 20 blocks."""
        size = 0
        if tools := body.get("tools"):
            size += _size_of_tools(request.tools)
            self._mark(tools, size)
        if isinstance(system := body.get("system"), list):
            size += size_of_text(system[-1]["text"])
            self._mark(system, size)
        if messages:
            ends = [message["content"] for message in body["messages"] if message["role"] == "user"][-2:]
            if size < self.least_bytes:
                size += len(msgspec.json.encode(body["messages"]))
            for content in ends:
                self._mark(content, size)

    def _mark(self, blocks: Sequence[dict[str, Any]], size: int) -> None:
        if size >= self.least_bytes:
            blocks[-1]["cache_control"] = self.control


@lru_cache(64)
def _size_of_tools(tools: tuple[ToolSpec, ...]) -> int:
    return len(msgspec.json.encode(tools))
