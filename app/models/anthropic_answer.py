"""One answer of Anthropic's messages API, put together from its events."""

from collections.abc import Mapping

import msgspec

from app.errors import AppError
from app.messages import ToolCall
from app.models.anthropic_wire import Block, Event, Failure, TokenUsage, decode_event, decode_reply
from app.models.calls import call_with_json
from app.models.failures import from_status, unavailable
from app.models.protocol import Completion, StopReason

_STOP_REASONS: Mapping[str, StopReason] = {
    "max_tokens": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "tool_use": "tool_calls",
}
"""`end_turn`, `stop_sequence`, `refusal`, `pause_turn` and what is yet to come are an answer's normal end."""

_STATUSES = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
"""By error type: an error in a stream has no status. https://platform.claude.com/docs/en/api/errors"""


class AnthropicAnswer:
    def __init__(self) -> None:
        self.done = False
        self._usage = TokenUsage()
        self._stop_reason = ""
        self._calls: dict[int, Block] = {}
        self._json: dict[int, list[str]] = {}

    def add(self, data: bytes) -> str:
        """Take in one event of a stream. Returns the text in it, sometimes none. Raises AppError."""
        try:
            event = decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", str(error)) from error
        if event.type == "content_block_delta" and event.delta:
            if event.delta.partial_json:
                self._json.setdefault(event.index, []).append(event.delta.partial_json)
            return event.delta.text
        return self._take(event)

    def end(self) -> None:
        """The stream is over. Raises ModelUnavailable if it was cut."""
        if not self.done:
            raise unavailable("cut_stream", "no message_stop")

    def add_whole(self, body: bytes) -> str:
        """Take in an answer that was not streamed. Returns its text."""
        try:
            reply = decode_reply(body)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", str(error)) from error
        if reply.stop_reason is None:
            raise unavailable("broken_answer", "no stop_reason")
        self._stop_reason = reply.stop_reason
        self._count(reply.usage)
        self._calls = {index: block for index, block in enumerate(reply.content) if block.type == "tool_use"}
        return "".join(block.text for block in reply.content if block.type == "text")

    def completion(self) -> Completion:
        """A tool call that `max_tokens` cut is left out."""
        reason = _STOP_REASONS.get(self._stop_reason, "stop")
        calls = [self._call(block, self._json.get(index)) for index, block in self._calls.items()]
        if reason == "max_tokens":
            calls = [call for call in calls if not call.malformed]
        return Completion(reason, self._usage.to_usage(), tuple(calls))

    def _take(self, event: Event) -> str:
        match event.type:
            case "message_start" if event.message:
                self._count(event.message.usage)
            case "content_block_start" if event.content_block:
                if event.content_block.type == "tool_use":
                    self._calls[event.index] = event.content_block
                return event.content_block.text
            case "message_delta":
                if event.delta and event.delta.stop_reason:
                    self._stop_reason = event.delta.stop_reason
                self._count(event.usage)
            case "message_stop":
                self.done = True
            case "error":
                raise _failure(event.error or Failure())
        return ""

    def _count(self, usage: TokenUsage | None) -> None:
        for name in TokenUsage.__struct_fields__:
            if (count := getattr(usage, name, None)) is not None:
                setattr(self._usage, name, count)

    def _call(self, block: Block, pieces: list[str] | None) -> ToolCall:
        if pieces is None and isinstance(block.input, dict):
            return ToolCall(block.id, block.name, block.input)
        text = "".join(pieces) if pieces else msgspec.json.encode(block.input).decode()
        return call_with_json(block.id, block.name, text)


def _failure(error: Failure) -> AppError:
    return from_status(_STATUSES.get(error.type, 500), {}, msgspec.json.encode({"error": error}))
