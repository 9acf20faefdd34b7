"""One answer of Ollama, put together from its lines."""

import msgspec

from app.errors import ModelUnavailable
from app.messages import Extras, ToolCall, Usage
from app.models.estimates import BYTES_A_TOKEN, estimated_input_tokens
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText
from app.models.providers.error_body import read_error
from app.models.providers.failures import context_too_long, unavailable
from app.models.providers.http import MAX_ANSWER_BYTES
from app.models.providers.lenient_counts import count_of
from app.models.providers.ollama.wire import Call, Chunk, decode, decode_lines
from app.models.providers.openai.finish import failure_in, failure_of_finish, stop_reason_of
from app.models.providers.tagged_text import TaggedText
from app.models.providers.think_tags import Splitter
from app.models.providers.tool_calls import call_with_json, valid_id

_NOT_READY = frozenset({"load", "unload"})
"""Ends of answers that say nothing: the model was loaded, or was being unloaded."""

_BOM = b"\xef\xbb\xbf"


def is_end(body: bytes) -> bool:
    """Whether an answer ends with this: its last line says so, or tells an error."""
    last = body.rstrip().rpartition(b"\n")[2]
    if not last.endswith(b"}"):
        return False
    try:
        chunk = decode(last)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return bool(chunk.done or chunk.error)


class OllamaAnswer:
    """Tells text, thinking and arguments as they come."""

    def __init__(
        self, num_ctx: int, on_text: OnText, on_beside: OnBeside, splitter: Splitter, *, together: bool = False
    ) -> None:
        self.done = False
        self.text = TaggedText(on_text, on_beside, splitter, together)
        self._num_ctx = num_ctx
        self._begun = False
        self._rest = b""
        self._last = Chunk()
        self._calls: list[tuple[str, str, str]] = []  # ids, names, arguments
        self._thinking: list[str] = []

    @property
    def reasons(self) -> bool:
        return self.text.thought_bytes > 0

    @property
    def counted(self) -> bool:
        """Whether the server has counted what was written. Counts of a prompt that it keeps may be missing."""
        return bool(count_of(self._last.eval_count)) or not self.written_bytes

    @property
    def written_bytes(self) -> int:
        """The size of all that the model wrote so far."""
        return self.text.bytes + self.text.thought_bytes + sum(len(arguments) for _, _, arguments in self._calls)

    def feed(self, data: bytes) -> None:
        """Take in a piece of the stream, cut anywhere. Raises AppError."""
        lines, _, self._rest = (self._rest + data).rpartition(b"\n")
        if self._rest and is_end(self._rest):
            lines, self._rest = lines + b"\n" + self._rest, b""
        if len(self._rest) > MAX_ANSWER_BYTES:
            raise unavailable("broken_answer", f"a line of more than {MAX_ANSWER_BYTES} bytes")
        self._add_lines(lines)
        self.text.tell_waiting()

    def close(self) -> None:
        """The stream is over. Some servers end their last line with it."""
        rest, self._rest = self._rest, b""
        if rest.strip() and not self.done:
            try:
                self._add_lines(rest)
            except ModelUnavailable as error:
                raise unavailable("cut_stream", error.cause, words=error.words) from error

    def whole(self, body: bytes) -> None:
        """Take in an answer that was not streamed; some servers stream all the same, others do not say `done`."""
        try:
            chunk = decode(body.removeprefix(_BOM))
        except (msgspec.MsgspecError, UnicodeDecodeError):
            self._add_lines(body)
        else:
            self._take(chunk)
            self.done = self.done or (chunk.done is None and bool(self.written_bytes))
        if not self.done and self.written_bytes:
            raise unavailable("cut_stream", "not done")
        if not self.done:
            raise (
                failure_in(body) if read_error(body).message else unavailable("broken_answer", "neither text nor done")
            )

    def end(self) -> None:
        """Raises ModelUnavailable if the answer was cut, and ContextTooLong if the prompt was."""
        if not self.done:
            raise unavailable("cut_stream", "not done")
        reason = self._last.done_reason or ""
        if failure := failure_of_finish(reason):
            raise failure
        if reason in _NOT_READY and not self.written_bytes:
            raise unavailable("overloaded", f"done_reason {reason}")
        if count_of(self._last.prompt_eval_count) >= self._num_ctx:
            raise context_too_long()
        self.text.end(cut=reason == "length")

    def completion(self, request: ModelRequest, ref: str) -> Completion:
        """Some servers leave out the count of a prompt that they have cached, or all counts: they are estimated."""
        calls = self._parsed(request) if self._calls else ()
        written = count_of(self._last.eval_count) or -(-self.written_bytes // BYTES_A_TOKEN)
        usage = Usage(count_of(self._last.prompt_eval_count) or estimated_input_tokens(request), written)
        thinking = "".join(self._thinking)
        return Completion(
            stop_reason_of(self._last.done_reason, calls=bool(calls), refused=False),
            usage,
            calls,
            Extras(ref, {"thinking": thinking}) if thinking else None,
            min(-(-self.text.thought_bytes // BYTES_A_TOKEN), written),
            self.text.text,
        )

    def _add_lines(self, lines: bytes) -> None:
        if not self._begun and lines:
            self._begun = True
            lines = lines.removeprefix(_BOM)
        try:
            for chunk in decode_lines(lines):
                self._take(chunk)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", type(error).__name__, words=str(error)) from error

    def _take(self, chunk: Chunk) -> None:
        if chunk.error:
            raise failure_in(msgspec.json.encode({"error": chunk.error}))
        if message := chunk.message:
            if message.thinking:
                self._thinking.append(message.thinking)
                self.text.think(message.thinking)
            if message.content:
                self.text.say(message.content)
            for call in message.tool_calls or ():
                self._add_call(call)
        if chunk.done:
            self.done = True
            self._last = chunk

    def _add_call(self, call: Call) -> None:
        function = call.function
        if function is None or not function.name:
            return
        given = function.arguments
        arguments = given if isinstance(given, str) else msgspec.json.encode(given).decode()
        self._calls.append((call.id or "", function.name, arguments))
        self.text.tell_beside("arguments", arguments)

    def _parsed(self, request: ModelRequest) -> tuple[ToolCall, ...]:
        taken, tools = request.call_ids(), request.tool_names()
        calls = []
        for given_id, name, arguments in self._calls:
            call_id = valid_id(given_id, taken)
            taken.add(call_id)
            calls.append(call_with_json(call_id, name, arguments, tools))
        return tuple(calls)
