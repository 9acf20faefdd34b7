"""One answer of Ollama, put together from its lines."""

import msgspec

from app.errors import ModelUnavailable
from app.events import Usage
from app.messages import ToolCall
from app.models.calls import call_with_json, new_id
from app.models.failures import context_too_long, unavailable
from app.models.http import MAX_ANSWER_BYTES
from app.models.kinds import is_too_long
from app.models.ollama_wire import Call, Chunk, decode, decode_lines
from app.models.protocol import Completion, ModelRequest, StopReason
from app.models.tokens import estimated_input_tokens


class OllamaAnswer:
    def __init__(self, num_ctx: int) -> None:
        self.done = False
        self._num_ctx = num_ctx
        self._rest = b""
        self._last = Chunk()
        self._calls: list[Call] = []

    def feed(self, data: bytes) -> list[str]:
        """Take in a piece of the stream, cut anywhere. Returns the texts in it. Raises AppError."""
        lines, _, self._rest = (self._rest + data).rpartition(b"\n")
        if len(self._rest) > MAX_ANSWER_BYTES:
            raise unavailable("broken_answer", f"a line of more than {MAX_ANSWER_BYTES} bytes")
        try:
            chunks = decode_lines(lines)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _broken(error) from error
        return [text for chunk in chunks if (text := self._take(chunk))]

    def whole(self, body: bytes) -> str:
        """Take in an answer that was not streamed. Returns its text."""
        try:
            return self._take(decode(body))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise _broken(error) from error

    def end(self) -> None:
        """The stream is over. Raises ModelUnavailable if it was cut, and ContextTooLong if the prompt was."""
        if not self.done:
            raise unavailable("cut_stream", "not done")
        if self._last.prompt_eval_count >= self._num_ctx:
            raise context_too_long()

    def completion(self, request: ModelRequest) -> Completion:
        """Some servers leave out the count of a prompt that they have cached: then it is estimated."""
        usage = Usage(self._last.prompt_eval_count or estimated_input_tokens(request), self._last.eval_count)
        reason: StopReason = "tool_calls" if self._calls else "stop"
        if self._last.done_reason == "length":
            reason = "max_tokens"
        return Completion(reason, usage, tuple(map(_parsed, self._calls)))

    def _take(self, chunk: Chunk) -> str:
        if chunk.error is not None:
            raise context_too_long() if is_too_long(chunk.error) else unavailable("server_error", chunk.error)
        if chunk.done:
            self.done = True
            self._last = chunk
        message = chunk.message
        if message is None:
            return ""
        if message.tool_calls:
            self._calls.extend(message.tool_calls)
        return message.content


def _parsed(call: Call) -> ToolCall:
    name, arguments = call.function.name, call.function.arguments
    if isinstance(arguments, dict):
        return ToolCall(call.id or new_id(), name, arguments)
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return call_with_json(call.id, name, text)


def _broken(error: Exception) -> ModelUnavailable:
    return unavailable("broken_answer", str(error))
