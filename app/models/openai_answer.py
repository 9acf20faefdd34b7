"""One answer of the chat completions API, put together from its chunks."""

from typing import Any

import msgspec

from app.errors import AppError
from app.events import Usage
from app.messages import size_of_text
from app.models.calls import call_with_json
from app.models.failures import from_status, provider_words, rate_limited, unavailable
from app.models.openai_wire import Call, ChatCompletion, Choice, Delta, decode
from app.models.protocol import Completion, StopReason
from app.models.tokens import BYTES_A_TOKEN


class _CallParts:
    """A tool call whose arguments are still coming."""

    __slots__ = ("arguments", "id", "name")

    def __init__(self, call_id: str | None) -> None:
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []


class OpenAIAnswer:
    def __init__(self) -> None:
        self.done = False
        self.usage: Usage | None = None
        self._finish_reason: str | None = None
        self._calls: dict[int, _CallParts] = {}
        self._bytes = 0

    def add(self, data: bytes) -> str:
        """Take in one event of a stream. Returns the text in it, often one token, sometimes none."""
        if data == b"[DONE]":
            self.done = True
            return ""
        choice = self._choice(data)
        return self._take(choice.delta, choice) if choice else ""

    def end(self, rest: bytes) -> None:
        """The stream is over; `rest` is what no blank line followed. Raises ModelUnavailable if it was cut.

        Its mark is `[DONE]`, or from servers that send none a finish reason.
        """
        if rest == b"[DONE]":
            self.done = True
        if self._finish_reason is None and not (self.done and (self._bytes or self._calls)):
            raise unavailable("cut_stream", "no finish_reason")

    def add_whole(self, body: bytes) -> str:
        """Take in an answer that was not streamed. Returns its text."""
        choice = self._choice(body)
        if choice is None or choice.message is None:
            raise unavailable("broken_answer", "no choices")
        return self._take(choice.message, choice)

    def completion(self, usage: Usage) -> Completion:
        """A tool call that `max_tokens` cut is left out."""
        calls = [call_with_json(parts.id, parts.name, "".join(parts.arguments)) for parts in self._calls.values()]
        if self._finish_reason == "length":
            calls = [call for call in calls if not call.malformed]
        return Completion(self._reason(), usage, tuple(calls))

    def estimated_output_tokens(self) -> int:
        arguments = sum(len(piece) for parts in self._calls.values() for piece in parts.arguments)
        return -(-(self._bytes + arguments) // BYTES_A_TOKEN)

    def _choice(self, data: bytes) -> Choice | None:
        try:
            completion: ChatCompletion = decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", str(error)) from error
        if completion.error is not None:
            raise _failure(completion.error, data)
        if completion.usage is not None:
            self.usage = completion.usage.to_usage()
        return completion.choices[0] if completion.choices else None

    def _take(self, delta: Delta | None, choice: Choice) -> str:
        if choice.finish_reason:
            self._finish_reason = choice.finish_reason
        if delta is None:
            return ""
        for call in delta.tool_calls or ():
            self._add_call(call)
        text = delta.content or delta.refusal or ""
        self._bytes += size_of_text(text)
        return text

    def _add_call(self, call: Call) -> None:
        index = call.index
        if index is None:  # of servers that send whole calls, or the pieces of one after the other
            index = len(self._calls) if call.id or not self._calls else len(self._calls) - 1
        parts = self._calls.get(index)
        if parts is None:
            parts = self._calls[index] = _CallParts(call.id)
        if call.function:
            parts.name = parts.name or call.function.name or ""
            if call.function.arguments:
                parts.arguments.append(call.function.arguments)

    def _reason(self) -> StopReason:
        """`stop`, `content_filter` and whatever else a server makes up are an answer's normal end."""
        if self._finish_reason == "length":
            return "max_tokens"
        return "tool_calls" if self._calls else "stop"


def _failure(error: Any, data: bytes) -> AppError:
    """Of an error in the midst of a stream, where the status was 200 already."""
    code = str(error.get("code")) if isinstance(error, dict) else ""
    if code.isdecimal() and int(code) >= 400:
        return from_status(int(code), {}, data)
    words = provider_words(data)
    return rate_limited(words) if code == "rate_limit_exceeded" else unavailable("server_error", words)
