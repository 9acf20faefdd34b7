"""One answer of Anthropic's messages API, put together from its events."""

from collections.abc import Collection, Iterable
from typing import Any

import msgspec

from app.messages import ToolCall, Usage
from app.models.estimates import BYTES_A_TOKEN
from app.models.protocol import Completion, OnBeside, OnText, StopReason
from app.models.providers.anthropic.blocks import Block, calls_in, extras_of
from app.models.providers.anthropic.unreadable import unreadable
from app.models.providers.anthropic.usage import UsageCount
from app.models.providers.anthropic.wire import Delta, Event, decode_event, decode_reply
from app.models.providers.error_body import read_error
from app.models.providers.failures import context_too_long, unavailable
from app.models.providers.openai.finish import failure_in, failure_of_finish, stop_reason_of
from app.models.providers.tagged_text import TaggedText
from app.models.providers.think_tags import Splitter

_PAUSED = "pause_turn"


class AnthropicAnswer:
    """Tells text, thinking and arguments as they come. Without a `splitter` tags in the text are text. An answer that
    was paused goes on in the same one. `tools` are the names of those that the model was told of."""

    def __init__(
        self,
        on_text: OnText,
        on_beside: OnBeside,
        splitter: Splitter | None = None,
        tools: Collection[str] = (),
        *,
        together: bool = False,
    ) -> None:
        self._tools = tools
        self.done = False
        self.text = TaggedText(on_text, on_beside, splitter, together)
        self._blocks: list[Block] = []
        self._at: dict[int | None, Block] = {}
        self._stop_reason: str | None = None
        self._count = UsageCount()
        self._earlier = Usage()
        self._thinking_tokens = 0
        self._continued_at = 0
        self._written_earlier = 0

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
        self._written_earlier = self.written_bytes
        self._at.clear()
        self._count, self._stop_reason, self.done = UsageCount(), None, False
        return [block.whole() for block in blocks if block.kind != "text" or block.text.strip()]

    def add(self, data: bytes) -> None:
        """Take in one event of a stream. Raises AppError."""
        if data == b"[DONE]":
            self.done = True
            return
        try:
            event = decode_event(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(data, error) from error
        if event.type == "content_block_delta" and (delta := event.delta):
            if (text := delta.text) and (block := self._at.get(event.index)) and block.kind == "text":
                if text := self.text.say(text):  # nearly all events are this
                    block.pieces.append(text)
            else:
                self._add_delta(event.index, delta)
        else:
            self._take(event, data)

    def end(self) -> None:
        """The stream is over. Raises ModelUnavailable if it was cut, or told a failure as its end.

        Some servers send no `message_stop`, others nothing but `[DONE]`.
        """
        if not (self._stop_reason or (self.done and self._blocks)):
            raise unavailable("cut_stream", "no stop_reason")
        if failure := failure_of_finish(self._stop_reason or ""):
            raise failure
        if self._stop_reason == "model_context_window_exceeded" and not self._blocks:
            raise context_too_long()
        if rest := self.text.end(cut=self._reason(calls=False) == "max_tokens"):
            self._block(None, "text").pieces.append(rest)

    def add_whole(self, body: bytes) -> None:
        """Take in an answer that was not streamed. Raises AppError."""
        try:
            reply = decode_reply(body.removeprefix(b"\xef\xbb\xbf"))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(body, error) from error
        if (
            reply.error
            or reply.type == "error"
            or (not reply.content and not reply.stop_reason and read_error(body).message)
        ):
            raise failure_in(body)
        if not reply.content and not reply.stop_reason:
            raise unavailable("broken_answer", "no content and no stop_reason")
        self._stop_reason = reply.stop_reason
        self._count.take(reply.usage, final=True)
        content = [{"type": "text", "text": reply.content}] if isinstance(reply.content, str) else reply.content or []
        for fields in content:
            if isinstance(fields, dict):
                self._add_block(Block(fields, closed=True))
        self.done = True
        self.end()

    def usage(self, estimated_input: int) -> tuple[Usage, bool]:
        """What the last part of the answer used, and whether the server has counted all of it."""
        return self._count.usage(estimated_input, self.written_bytes - self._written_earlier)

    @property
    def written_bytes(self) -> int:
        """The size of all that the model wrote so far."""
        return self.text.bytes + self.text.thought_bytes + self._input_bytes()

    def _input_bytes(self) -> int:
        return sum(block.bytes for block in self._blocks if block.kind not in ("text", "thinking"))

    def _reason(self, *, calls: bool) -> StopReason:
        return stop_reason_of(self._stop_reason, calls=calls, refused=False)

    def completion(self, usage: Usage, ref: str, taken: Iterable[str] = ()) -> Completion:
        """A tool call that `max_tokens` cut is left out; a refused one is none. `taken` are ids of other calls."""
        calls = self._calls(taken)
        reason = self._reason(calls=bool(calls))
        if self._stop_reason == _PAUSED and not calls:
            reason = "max_tokens"  # it was continued as often as it may be
        if reason == "max_tokens":
            calls = {place: call for place, call in calls.items() if not self._is_cut(place, call.malformed)}
        elif reason in ("refusal", "content_filter"):
            calls = {}
        total = self._earlier + usage
        extras = extras_of(self._blocks, calls, ref)
        thought = self._reasoning_tokens(total)
        return Completion(reason, total, tuple(calls.values()), extras, thought, self.text.text)

    @property
    def reasons(self) -> bool:
        """Whether there is thinking in it."""
        thinking = ("thinking", "redacted_thinking")
        return bool(self.text.thought_bytes) or any(block.kind in thinking for block in self._blocks)

    def _reasoning_tokens(self, usage: Usage) -> int:
        """As counted; else what the rest of the answer does not account for, since thinking may come as a summary."""
        if counted := self._thinking_tokens + self._count.thinking_tokens:
            return min(counted, usage.output_tokens)
        if not self.reasons:
            return 0
        rest = (self.text.bytes + self._input_bytes()) // BYTES_A_TOKEN
        return max(usage.output_tokens - rest, 0)

    def _calls(self, taken: Iterable[str] = ()) -> dict[int, ToolCall]:
        return calls_in(self._blocks, taken, self._tools)

    def _is_cut(self, place: int, malformed: str) -> bool:
        """The last block may have been cut before the first piece of its input, too."""
        last = place == len(self._blocks) - 1
        block = self._blocks[place]
        return bool(malformed) or (last and not block.pieces and not block.fields.get("input"))

    def _add_delta(self, index: int | None, delta: Delta) -> None:
        if text := delta.text:
            self._say(self._block(index, "text"), text)
        elif piece := delta.partial_json:
            block = self._block(index, "tool_use")
            piece = piece if isinstance(piece, str) else msgspec.json.encode(piece).decode()
            block.pieces.append(piece)
            self.text.tell_beside("arguments", piece if block.kind == "tool_use" else "")
        elif thought := delta.thinking:
            self._think(self._block(index, "thinking"), thought)
        elif delta.signature:
            self._block(index, "thinking").fields["signature"] = delta.signature
        elif delta.citation is not None:
            self._block(index, "text").fields.setdefault("citations", []).append(delta.citation)

    def _say(self, block: Block, text: str) -> None:
        if text := self.text.say(text):
            block.pieces.append(text)

    def _think(self, block: Block, thought: str) -> None:
        block.pieces.append(thought)
        self.text.think(thought)

    def _block(self, index: int | None, kind: str) -> Block:
        """The block that a delta belongs to. Some servers do not begin them, or count none of them."""
        block = self._at.get(index)
        if block is None or ((block.kind in ("text", "thinking") or kind != "tool_use") and block.kind != kind):
            last = next((block for block in reversed(self._blocks) if block.kind == kind and not block.closed), None)
            block = self._at[index] = last or Block({"type": kind})
            if last is None:
                self._blocks.append(block)
        return block

    def _take(self, event: Event, data: bytes) -> None:
        if event.error or event.type == "error":
            raise failure_in(data)
        self._count.take(event.usage, final=event.type != "message_start")
        match event.type:
            case "message_start" if event.message:
                self._count.take(event.message.usage, final=False)
            case "content_block_start" if isinstance(event.content_block, dict):
                self._begin(event.index, Block(event.content_block))
            case "content_block_stop" if block := self._at.get(event.index):
                block.closed = True
            case "message_delta" if event.delta and event.delta.stop_reason:
                self._stop_reason = event.delta.stop_reason
            case "message_stop":
                self.done = True

    def _begin(self, index: int | None, block: Block) -> None:
        """llama.cpp has begun the same block again for each of its tokens."""
        before = self._at.get(index)
        if before and not before.closed and before.same_as(block):
            self._add_beginning(before, block.begins_with)
        else:
            self._at[index] = block
            self._add_block(block)

    def _add_block(self, block: Block) -> None:
        self._blocks.append(block)
        self._add_beginning(block, block.begins_with)

    def _add_beginning(self, block: Block, text: str) -> None:
        if text:
            (self._think if block.kind == "thinking" else self._say)(block, text)
        elif block.kind not in ("text", "thinking"):
            self.text.tell_beside("arguments", "")
