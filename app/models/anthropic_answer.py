"""One answer of Anthropic's messages API, put together from its events."""

from collections.abc import Mapping
from typing import Any

import msgspec

from app.errors import AppError
from app.events import Usage
from app.models.anthropic_blocks import Block, calls_in, extras_of
from app.models.anthropic_usage import UsageCount
from app.models.anthropic_wire import Delta, Event, decode_event, decode_reply
from app.models.failures import context_too_long, from_answer, unavailable
from app.models.protocol import Completion, OnBeside, StopReason, unheard
from app.models.tokens import BYTES_A_TOKEN
from app.models.told import told

_STOP_REASONS: Mapping[str, StopReason] = {
    "max_tokens": "max_tokens",
    "length": "max_tokens",
    "model_context_window_exceeded": "max_tokens",
    "refusal": "refusal",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "sensitive": "content_filter",
    "guardrail_intervened": "content_filter",
    "tool_use": "tool_calls",
}
"""`end_turn`, `stop_sequence` and what is yet to come are an answer's normal end."""

_FAILURES = frozenset({"error", "abort", "aborted", "network_error", "insufficient_system_resource"})
_PAUSED = "pause_turn"


class AnthropicAnswer:
    """`on_beside` is told thinking and arguments as they come. An answer that was paused goes on in the same one."""

    def __init__(self, on_beside: OnBeside = unheard) -> None:
        self.done = False
        self._on_beside = on_beside
        self._blocks: list[Block] = []
        self._at: dict[int | None, Block] = {}
        self._stop_reason: str | None = None
        self._count = UsageCount()
        self._earlier = Usage()
        self._thinking_tokens = 0
        self._continued_at = 0

    @property
    def ended(self) -> bool:
        """Whether nothing but marks of the end can follow."""
        return self.done or self._stop_reason is not None

    @property
    def paused(self) -> bool:
        return self._stop_reason == _PAUSED and not self._calls()

    def go_on(self, usage: Usage) -> list[dict[str, Any]]:
        """Begin the next part of an answer that is paused. Returns what the provider wants back of the last one, whose
        `usage` is given."""
        self._earlier += usage
        self._thinking_tokens += self._count.thinking_tokens
        blocks = self._blocks[self._continued_at :]
        self._continued_at = len(self._blocks)
        self._at.clear()
        self._count, self._stop_reason, self.done = UsageCount(), None, False
        return [block.whole() for block in blocks if block.kind != "text" or block.text.strip()]

    def add(self, data: bytes) -> str:
        """Take in one event of a stream. Returns the text in it, sometimes none. Raises AppError."""
        if data == b"[DONE]":
            self.done = True
            return ""
        try:
            event = decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _unreadable(data, error) from error
        if event.type == "content_block_delta" and event.delta:
            return self._add_delta(event.index, event.delta)
        return self._take(event, data)

    def end(self) -> None:
        """The stream is over. Raises ModelUnavailable if it was cut, or told a failure as its end.

        Some servers send no `message_stop`, others nothing but `[DONE]`.
        """
        if not (self._stop_reason or (self.done and self._blocks)):
            raise unavailable("cut_stream", "no stop_reason")
        if self._stop_reason in _FAILURES:
            raise unavailable("server_error", f"stop_reason {self._stop_reason}")
        if self._stop_reason == "model_context_window_exceeded" and not self._blocks:
            raise context_too_long()

    def add_whole(self, body: bytes) -> str:
        """Take in an answer that was not streamed. Returns its text."""
        try:
            reply = decode_reply(body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _unreadable(body, error) from error
        if reply.error or reply.type == "error" or (not reply.content and not reply.stop_reason and told(body).message):
            raise from_answer(body)
        if not reply.content and not reply.stop_reason:
            raise unavailable("broken_answer", "no content and no stop_reason")
        self._stop_reason = reply.stop_reason
        self._count.take(reply.usage, final=True)
        begun = len(self._blocks)
        content = [{"type": "text", "text": reply.content}] if isinstance(reply.content, str) else reply.content or []
        self._blocks += [Block(fields, closed=True) for fields in content if isinstance(fields, dict)]
        self.done = True
        self.end()
        blocks = self._blocks[begun:]
        if reasoning := "".join(block.text for block in blocks if block.kind == "thinking"):
            self._on_beside("reasoning", reasoning)
        return "".join(block.text for block in blocks if block.kind == "text")

    def output_tokens(self, usage: Usage) -> int:
        """Those of all parts, the last of which has the `usage`."""
        return (self._earlier + usage).output_tokens

    def usage(self, estimated_input: int) -> tuple[Usage, bool]:
        """What the last part of the answer used, and whether the server has counted all of it."""
        written = sum(block.bytes for block in self._blocks[self._continued_at :])
        return self._count.usage(estimated_input, written)

    def completion(self, usage: Usage, ref: str) -> Completion:
        """A tool call that `max_tokens` cut is left out; a refused one is none."""
        calls = self._calls()
        reason = _STOP_REASONS.get(self._stop_reason or "", "stop")
        if self._stop_reason == _PAUSED and not calls:
            reason = "max_tokens"  # it was continued as often as it may be
        if reason == "max_tokens":
            calls = {place: call for place, call in calls.items() if not self._is_cut(place, call.malformed)}
        elif reason in ("refusal", "content_filter"):
            calls = {}
        elif calls:
            reason = "tool_calls"
        total = self._earlier + usage
        extras = extras_of(self._blocks, calls, ref)
        return Completion(reason, total, tuple(calls.values()), extras, self._reasoning_tokens(total))

    @property
    def reasons(self) -> bool:
        """Whether there is thinking in it."""
        return any(block.kind in ("thinking", "redacted_thinking") for block in self._blocks)

    def _reasoning_tokens(self, usage: Usage) -> int:
        """As counted; else what the rest of the answer does not account for, since thinking may come as a summary."""
        if counted := self._thinking_tokens + self._count.thinking_tokens:
            return min(counted, usage.output_tokens)
        if not self.reasons:
            return 0
        rest = sum(block.bytes for block in self._blocks if block.kind != "thinking") // BYTES_A_TOKEN
        return max(usage.output_tokens - rest, 0)

    def _calls(self) -> dict[int, Any]:
        return calls_in(self._blocks)

    def _is_cut(self, place: int, malformed: str) -> bool:
        """The last block may have been cut before the first piece of its input, too."""
        last = place == len(self._blocks) - 1
        block = self._blocks[place]
        return bool(malformed) or (last and not block.pieces and not block.fields.get("input"))

    def _add_delta(self, index: int | None, delta: Delta) -> str:
        if text := delta.text:
            self._block(index, "text").pieces.append(text)
            return text
        if piece := delta.partial_json:
            block = self._block(index, "tool_use")
            piece = piece if isinstance(piece, str) else msgspec.json.encode(piece).decode()
            block.pieces.append(piece)
            if block.kind == "tool_use":
                self._on_beside("arguments", piece)
        elif thought := delta.thinking:
            self._block(index, "thinking").pieces.append(thought)
            self._on_beside("reasoning", thought)
        elif delta.signature:
            self._block(index, "thinking").fields["signature"] = delta.signature
        elif delta.citation is not None:
            self._block(index, "text").fields.setdefault("citations", []).append(delta.citation)
        return ""

    def _block(self, index: int | None, kind: str) -> Block:
        """The block that a delta belongs to. Some servers do not begin them, or count none of them."""
        block = self._at.get(index)
        if block is None or ((block.kind in ("text", "thinking") or kind != "tool_use") and block.kind != kind):
            last = next((block for block in reversed(self._blocks) if block.kind == kind and not block.closed), None)
            block = self._at[index] = last or Block({"type": kind})
            if last is None:
                self._blocks.append(block)
        return block

    def _take(self, event: Event, data: bytes) -> str:
        if event.error or event.type == "error":
            raise from_answer(data)
        self._count.take(event.usage, final=event.type != "message_start")
        match event.type:
            case "message_start" if event.message:
                self._count.take(event.message.usage, final=False)
            case "content_block_start" if isinstance(event.content_block, dict):
                return self._begin(event.index, event.content_block)
            case "content_block_stop" if block := self._at.get(event.index):
                block.closed = True
            case "message_delta" if event.delta and event.delta.stop_reason:
                self._stop_reason = event.delta.stop_reason
            case "message_stop":
                self.done = True
        return ""

    def _begin(self, index: int | None, fields: dict[str, Any]) -> str:
        """llama.cpp has begun the same block again for each of its tokens."""
        block = Block(fields)
        before = self._at.get(index)
        if (
            before
            and before.kind == block.kind
            and not before.closed
            and (before.id, before.name) == (block.id, block.name)
        ):
            before.pieces += block.pieces
        else:
            self._blocks.append(block)
            self._at[index] = block
        text = "".join(block.pieces)
        if text and block.kind == "thinking":
            self._on_beside("reasoning", text)
        return text if block.kind == "text" else ""


def _unreadable(data: bytes, error: Exception) -> AppError:
    """An error in a shape of its own is one, too."""
    try:
        said = msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        said = None
    if isinstance(said, dict) and (said.get("error") or said.get("object") == "error" or said.get("type") == "error"):
        return from_answer(data)
    return unavailable("broken_answer", str(error))
