"""The embedded model: no network, no key, simple rules. With it one command shows the whole service."""

import asyncio
import re
from collections.abc import Sequence
from typing import Any

import msgspec

from app.errors import InvalidRequest
from app.messages import Message, ToolMessage, Usage, UserMessage, size_of_text
from app.models.estimates import BYTES_A_TOKEN, estimated_input_tokens, estimated_tokens
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.providers.demo.rules import calls_for

WORD_SECONDS = 0.01
"""Between two words of a stream, so that a person sees that it is one."""

INTRODUCTION = "I am a demo model: a few rules, no language model."
QUOTED_CHARS = 200

_EARLIER = re.compile(r"\b(?:before|earlier|previous(?:ly)?|remember|history|last message)\b", re.IGNORECASE)
_WORD = re.compile(r"\s*\S+\s*")


class DemoModel:
    """Calls the calculator for arithmetic and the clock for the time, where they are offered; tells what was
    said before when it is asked; else repeats the message. Its tokens are estimated."""

    ref = "demo"
    provider = "demo"
    name = "demo"
    context_window: int | None = None
    reasons = False

    def __init__(self, word_seconds: float = WORD_SECONDS) -> None:
        self._word_seconds = word_seconds

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        if request.response_format is not None:
            raise InvalidRequest("The model demo is a few rules: it cannot answer in a format. Ask another model.")
        input_tokens = estimated_input_tokens(request)
        calls = tuple(calls_for(request))
        if calls:
            output_tokens = sum(estimated_tokens(f"{call.name}{call.arguments}") for call in calls)
            return Completion("tool_calls", Usage(input_tokens, output_tokens), calls)
        answer = _answer(request.messages)
        text = _cut(answer, request.max_tokens)
        for piece in _WORD.findall(text) if request.stream else (text,):
            on_text(piece)
            if request.stream and self._word_seconds:
                await asyncio.sleep(self._word_seconds)
        return Completion("stop" if text == answer else "max_tokens", Usage(input_tokens, estimated_tokens(text)))

    async def probe(self) -> None:
        """Always alive."""

    async def aclose(self) -> None:
        """Nothing is open."""


def _answer(messages: Sequence[Message]) -> str:
    results = []
    for message in reversed(messages):
        if not isinstance(message, ToolMessage):
            break
        verb = "could not help" if message.is_error else "says"
        results.append(f"The {message.name} {verb}: {_plain(_result(message))}.")
    if results:
        return " ".join([INTRODUCTION, *reversed(results)])
    said = [message.content for message in messages if isinstance(message, UserMessage)]
    if not said:
        return INTRODUCTION
    if _EARLIER.search(said[-1]):
        return f"{INTRODUCTION} {_memory(said[:-1])}"
    return f"{INTRODUCTION} You said: {_quoted(said[-1])}"


def _result(message: ToolMessage) -> str:
    """Without its fence, whose markers are its first and its last line."""
    return message.content.partition("\n")[2].rpartition("\n")[0] if message.untrusted else message.content


def _plain(result: str) -> str:
    """A result that is a JSON object, as its values."""
    try:
        return ", ".join(map(str, msgspec.json.decode(result, type=dict[str, Any]).values()))
    except (msgspec.MsgspecError, UnicodeError):
        return result


def _memory(earlier: Sequence[str]) -> str:
    if not earlier:
        return "This is the first message I see of this session."
    count = "1 earlier message" if len(earlier) == 1 else f"{len(earlier)} earlier messages"
    return f"I see {count} of yours in this session; the last one: {_quoted(earlier[-1])}"


def _quoted(text: str) -> str:
    return f"“{text}”" if len(text) <= QUOTED_CHARS else f"“{text[:QUOTED_CHARS]}…”"


def _cut(text: str, max_tokens: int) -> str:
    """As much of the text as the tokens allow, at least one word."""
    left = max_tokens * BYTES_A_TOKEN
    kept: list[str] = []
    for word in _WORD.findall(text):
        left -= size_of_text(word)
        if left < 0 and kept:
            return "".join(kept)
        kept.append(word)
    return text
