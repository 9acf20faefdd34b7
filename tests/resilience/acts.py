"""What a provider does to one call, as data: bytes, how long it waits, and how it ends."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from app.messages import ToolCall, Usage
from tests.models.dialects import AnthropicDialect, Dialect, OllamaDialect, OpenAIDialect, Script, dump

Api = Literal["openai", "anthropic", "ollama"]
Head = Literal["whole", "half", "none"]
Ending = Literal["complete", "cut", "reset", "silent"]
"""`cut` closes the connection before the body's end, `reset` breaks it, `silent` keeps it open and says nothing."""

DIALECTS: Mapping[Api, Dialect] = {
    "openai": OpenAIDialect(),
    "anthropic": AnthropicDialect(),
    "ollama": OllamaDialect(),
}
TEXTS = ("One", " two", " three", " four")
WHOLE = "".join(TEXTS)
_BEFORE_TEXT: Mapping[Api, int] = {"openai": 1, "anthropic": 3, "ollama": 0}
"""Pieces of a stream that come before its first text: role, message_start, ping."""

_SSE = {"Content-Type": "text/event-stream"}


@dataclass(frozen=True)
class Call:
    """A model call as the provider reads it."""

    api: Api
    model: str
    stream: bool
    body: Mapping[str, Any]
    input_tokens: int


@dataclass(frozen=True)
class Act:
    """`pieces` are written after `wait` seconds, `pause` seconds apart. Each is with its output tokens, which are
    billed as it is written; `told` is whether the answer tells what is billed."""

    pieces: Sequence[tuple[bytes, int]] = ()
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    head: Head = "whole"
    ending: Ending = "complete"
    wait: float = 0
    pause: float = 0
    told: bool = False

    @property
    def billed(self) -> bool:
        """Whether the provider charges for such a call: it has begun to answer it."""
        return any(tokens for _, tokens in self.pieces)


def answer(call: Call, texts: Sequence[str] = TEXTS, calls: Sequence[ToolCall] = ()) -> Act:
    """A whole answer, of one token for each of its texts; of one without a text."""
    dialect = DIALECTS[call.api]
    billed = max(1, len(texts))
    script = Script(texts, calls, usage=Usage(call.input_tokens, billed))
    if not call.stream:
        return Act([(dialect.plain(script).whole(), billed)], told=True)
    reply, before = dialect.streamed(script), _BEFORE_TEXT[call.api]
    tokens = [int(before <= place < before + len(texts)) for place in range(len(reply.pieces))]
    tokens[-1] += billed - len(texts)
    return Act(list(zip(reply.pieces, tokens, strict=True)), headers=reply.headers or _SSE, told=True)


def broken_off(call: Call, ending: Ending = "cut", texts: int = 2) -> Act:
    """An answer that ends after so many of its texts; a plain one in the middle of its JSON."""
    whole = answer(call)
    if not call.stream:
        ((body, tokens),) = whole.pieces
        return replace(whole, pieces=[(body[: len(body) // 2], tokens)], ending=ending, told=False)
    return replace(whole, pieces=whole.pieces[: _BEFORE_TEXT[call.api] + texts], ending=ending, told=False)


def in_arguments(call: Call, ending: Ending = "cut") -> Act:
    """A call of a tool that ends inside its arguments."""
    reply = DIALECTS[call.api].streamed(Script((), [ToolCall("call_1", "calculator", {"expression": "6*7"})]))
    wanted = {"openai": 3, "anthropic": 5, "ollama": 0}[call.api]
    return Act([(piece, 1) for piece in reply.pieces[:wanted]], headers=_SSE, ending=ending)


def in_reasoning(call: Call, ending: Ending = "cut") -> Act:
    """Reasoning that ends before the first text."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"reasoning_content": text} for text in ("Let", " me", " think")]
    events = [f"data: {dump({'choices': [{'index': 0, 'delta': delta}]})}\n\n".encode() for delta in deltas]
    return Act([(event, 1) for event in events], headers=_SSE, ending=ending)


def silent(call: Call) -> Act:
    """What is no content, such as a role and pings, and then nothing."""
    if not call.stream:
        return Act(ending="silent", head="none")
    pieces = answer(call).pieces[: _BEFORE_TEXT[call.api]]
    return Act([*pieces, (b": ping\n\n", 0)], headers=_SSE, ending="silent")


def ended_by(call: Call, reason: str, texts: Sequence[str] = ()) -> Act:
    """A whole answer that ends for this reason: `refusal`, `content_filter`."""
    whole = answer(call, texts)
    ends = (b'"stop"', b'"end_turn"')
    changed = [(_replaced(piece, ends, f'"{reason}"'.encode()), tokens) for piece, tokens in whole.pieces]
    return replace(whole, pieces=changed)


def _replaced(piece: bytes, old: Sequence[bytes], new: bytes) -> bytes:
    for word in old:
        piece = piece.replace(word, new)
    return piece


def error(status: int, code: str = "", message: str = "words of the provider", **headers: str) -> Act:
    """An error as OpenAI and, for what it needs of one, Anthropic and Ollama write it."""
    kind = {"type": code or "some_error", "code": code or None, "message": message}
    body = json.dumps({"type": "error", "error": kind}).encode()
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Act([(body, 0)], status, {"Content-Type": "application/json", **named})
