"""One answer of the chat completions API, put together from its chunks and told as it comes."""

from collections.abc import Sequence

import msgspec

from app.messages import Extras
from app.models.estimates import BYTES_A_TOKEN
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, ToolSpec
from app.models.providers.failures import unavailable
from app.models.providers.openai.calls import Calls
from app.models.providers.openai.finish import (
    failure_in,
    failure_of_choice,
    failure_of_finish,
    failure_without_choices,
    says_something,
    stop_reason_of,
)
from app.models.providers.openai.lenient import decode_leniently
from app.models.providers.openai.reasoning import Reasoning
from app.models.providers.openai.usage import Counted
from app.models.providers.openai.wire import Call, ChatCompletion, Choice, Delta, decode
from app.models.providers.tagged_text import TaggedText
from app.models.providers.think_tags import Splitter


class OpenAIAnswer:
    """`tools` are those that the model was told of. Without a `splitter` tags in the text are text."""

    def __init__(
        self,
        on_text: OnText,
        on_beside: OnBeside,
        tools: Sequence[ToolSpec] = (),
        splitter: Splitter | None = None,
        *,
        together: bool = False,
    ) -> None:
        self.done = False
        self.counted = Counted()
        self.text = TaggedText(on_text, on_beside, splitter, together)
        self._finish_reason: str | None = None
        self._refused = False
        self._calls = Calls(tools)
        self._reasoning: Reasoning | None = None

    @property
    def finished(self) -> bool:
        return self._finish_reason is not None

    @property
    def reasoned(self) -> bool:
        return self.text.reasoned or bool(self.counted.reasoning)

    @property
    def written_bytes(self) -> int:
        """The size of all that the model wrote so far."""
        return self.text.bytes + self.text.thought_bytes + self._calls.bytes

    @property
    def progress(self) -> object:
        """Another value after each event that said something."""
        return self.text.pieces, self._calls.bytes, bool(self.counted)

    def add(self, data: bytes) -> None:
        """Take in one event of a stream. Raises AppError."""
        if data == b"[DONE]":
            self.done = True
            return
        try:
            completion = decode(data)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            completion = self._read(data)
        if not completion.choices or completion.usage is not None or completion.error is not None:
            choice = self._choice(completion, data)
            if choice is None:
                return
        else:
            choice = completion.choices[0]
        delta = choice.delta if choice.delta is not None else choice.message
        if delta is not None:
            self._take(delta)
        elif choice.text:
            self.text.say(choice.text)
        if choice.finish_reason is not None or choice.error is not None or choice.usage is not None:
            self._finish(choice, completion)

    def add_body(self, body: bytes) -> None:
        """Take in an answer that was not streamed. Raises AppError."""
        try:
            completion = decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError):
            completion = self._read(body)
        choice = self._choice(completion, body)
        message = (choice.message or choice.delta) if choice else None
        if choice is None or (message is None and choice.text is None):
            raise unavailable("broken_answer", "no choices")
        self._take(message or Delta(choice.text))
        self._finish(choice, completion)
        self._finish_reason = self._finish_reason or "stop"
        self.done = True
        self.end()

    def end(self) -> None:
        """The stream is over. Raises ModelUnavailable if it was cut: its mark is a finish reason, `[DONE]`, or where
        it has nothing else, whole calls."""
        if self.text.is_held():
            reason = stop_reason_of(self._finish_reason, calls=False, refused=False)
            self.text.end(cut=reason == "max_tokens")
        else:
            self.text.end()
        if self.finished or (self.done and (self.written_bytes or self._calls)):
            return
        if not self._calls.are_whole():
            raise unavailable("cut_stream", "no finish_reason")

    def completion(self, request: ModelRequest, ref: str) -> Completion:
        """The end of the answer. A tool call that `max_tokens` cut is left out."""
        calls, fields = self._calls.end(request.call_ids()) if self._calls else ((), {})
        reason = stop_reason_of(self._finish_reason, calls=bool(calls), refused=self._refused)
        if reason == "max_tokens":
            calls = tuple(call for call in calls if not call.malformed)
        message = {} if self._reasoning is None else dict(self._reasoning.fields())
        usage = self.counted.usage(request, 0 if self.counted else self.written_bytes)
        reasoning = self.counted.reasoning or (-(-self.text.thought_bytes // BYTES_A_TOKEN) if self.reasoned else 0)
        return Completion(
            reason,
            usage,
            calls,
            Extras(ref, message, fields) if message or fields else None,
            min(reasoning, usage.output_tokens),
            self.text.text,
        )

    def _choice(self, completion: ChatCompletion, data: bytes) -> Choice | None:
        if completion.error is not None and says_something(completion.error):
            raise failure_in(data)
        if completion.usage is not None:
            self.counted.add(completion.usage)
        if completion.x_groq is not None and completion.x_groq.usage is not None:
            self.counted.add(completion.x_groq.usage)
        if completion.choices:
            return completion.choices[0]
        if (completion.usage is None or completion.base_resp) and (failure := failure_without_choices(data)):
            raise failure
        return None

    def _read(self, data: bytes) -> ChatCompletion:
        try:
            return decode_leniently(data)
        except ValueError as error:
            raise unavailable("broken_answer", type(error).__name__, words=str(error)) from error

    def _take(self, delta: Delta) -> None:
        """Take in a message or a piece of one: mostly one token of text."""
        if text := delta.content:
            self.text.say(text)
        if (
            delta.tool_calls is not None
            or delta.reasoning_content is not None
            or delta.reasoning is not None
            or delta.refusal is not None
            or delta.function_call is not None
            or delta.reasoning_details is not None
            or delta.thinking_blocks is not None
            or delta.thinking is not None
            or delta.extra_content is not None
        ):
            self._take_beside(delta)

    def _take_beside(self, delta: Delta) -> None:
        if delta.refusal and not delta.content:
            self._refused = True
            self.text.say(delta.refusal)
        if delta.tool_calls:
            for call in delta.tool_calls:
                self._add_call(call)
        elif delta.function_call:
            self._add_call(Call(0, None, delta.function_call))
        if self._reasoning is None:
            self._reasoning = Reasoning()
        if text := self._reasoning.add(delta):
            self.text.end()
            self.text.think(text)

    def _add_call(self, call: Call) -> None:
        self.text.tell_beside("arguments", self._calls.add(call))

    def _finish(self, choice: Choice, completion: ChatCompletion) -> None:
        if choice.usage is not None:
            self.counted.add(choice.usage)
        if completion.x_groq is not None and completion.x_groq.usage is not None:
            self.counted.add(completion.x_groq.usage)
        if choice.error is not None and says_something(choice.error):
            raise failure_of_choice(choice.error)
        reason = choice.finish_reason
        if reason and reason != "null":
            if reason != "stop" and (failure := failure_of_finish(reason)):
                raise failure
            self._finish_reason = reason
