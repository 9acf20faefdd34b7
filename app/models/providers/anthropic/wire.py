"""The JSON of Anthropic's messages API: what comes back plain or as events, as compatible servers write it, too.

https://platform.claude.com/docs/en/api/messages
"""

from typing import Any

import msgspec
from msgspec import Struct

from app.models.providers.lenient_counts import count_of


class TokenUsage(Struct):
    """Cumulative. In a stream, `message_start` has all of it and `message_delta` what has changed."""

    input_tokens: Any = None
    output_tokens: Any = None
    cache_read_input_tokens: Any = None
    cache_creation_input_tokens: Any = None
    output_tokens_details: Any = None

    @property
    def thinking_tokens(self) -> int:
        details = self.output_tokens_details
        return count_of(details.get("thinking_tokens")) if isinstance(details, dict) else 0


class Reply(Struct):
    """A whole answer, or the beginning of one in `message_start`."""

    content: Any = None
    stop_reason: str | None = None
    usage: TokenUsage | None = None
    type: str | None = None
    error: Any = None


class Delta(Struct):
    """Of a block: one of its texts. Of the message: `stop_reason`."""

    text: str | None = None
    partial_json: Any = None
    thinking: str | None = None
    signature: str | None = None
    citation: Any = None
    stop_reason: str | None = None


class Event(Struct):
    """Any event of a stream; types that are not known are to be skipped."""

    type: str = ""
    index: int | None = None
    delta: Delta | None = None
    content_block: Any = None
    message: Reply | None = None
    usage: TokenUsage | None = None
    error: Any = None


decode_event = msgspec.json.Decoder(Event).decode
decode_reply = msgspec.json.Decoder(Reply).decode
