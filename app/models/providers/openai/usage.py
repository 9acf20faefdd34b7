"""The usage of a call, whose counts come once, often, in part or never: the same thing for every server."""

from msgspec import Struct

from app.messages import Usage
from app.models.estimates import BYTES_A_TOKEN, estimated_input_tokens
from app.models.protocol import ModelRequest
from app.models.providers.openai.wire import Details, TokenUsage

_NO_DETAILS = Details()


class Counted(Struct):
    """What the server has counted so far. Counts of a later event replace those before, unless they are zero."""

    input: int = 0
    output: int = 0
    total: int = 0
    cached: int = 0
    written: int = 0
    reasoning: int = 0

    def __bool__(self) -> bool:
        return bool(self.input and self.output)

    def add(self, usage: TokenUsage) -> None:
        self.input = usage.prompt_tokens or self.input
        self.output = usage.completion_tokens or self.output
        self.total = usage.total_tokens or self.total
        read = usage.prompt_tokens_details or _NO_DETAILS
        written = usage.completion_tokens_details or _NO_DETAILS
        self.cached = (
            read.cached_tokens
            or usage.prompt_cache_hit_tokens
            or usage.cached_tokens
            or usage.cache_read_input_tokens
            or self.cached
        )
        self.written = read.cache_write_tokens or usage.cache_creation_input_tokens or self.written
        self.reasoning = written.reasoning_tokens or self.reasoning

    def usage(self, request: ModelRequest, written_bytes: int) -> Usage:
        """The usage, estimated where it is missing. `written_bytes` is the size of all that the model wrote.

        xAI and Gemini count reasoning in the total only, which all others count as output.
        """
        output = self.output or -(-written_bytes // BYTES_A_TOKEN)
        if self.input and self.output and self.total > self.input + self.output:
            output = self.total - self.input
        elif self.reasoning > output:
            output += self.reasoning
        input_ = self.input or estimated_input_tokens(request)
        cached = min(self.cached, input_)
        return Usage(input_, output, cached, min(self.written, input_ - cached))
