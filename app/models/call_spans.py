"""The span of a model call: `chat {model}`, with all attempts of the call inside."""

from collections.abc import Callable, Mapping

from msgspec import Struct
from msgspec.structs import replace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from app.messages import NANOS, Usage
from app.models.call_records import Attempt
from app.models.prices import Price
from app.models.protocol import Completion, ModelRequest, OnText
from app.telemetry import conventions


def of_call(provider: str, name: str, record: "CallRecord") -> Mapping[str, AttributeValue]:
    """`name` is the model's at its provider."""
    request = record.request
    attributes: dict[str, AttributeValue] = {
        conventions.OPERATION: conventions.CHAT,
        conventions.PROVIDER: provider,
        conventions.REQUEST_MODEL: name,
        conventions.REQUEST_MAX_TOKENS: request.max_tokens,
        conventions.REQUEST_STREAM: request.stream,
    }
    if request.conversation:
        attributes[conventions.CONVERSATION_ID] = request.conversation
    if request.temperature is not None:
        attributes[conventions.REQUEST_TEMPERATURE] = request.temperature
    if request.response_format is not None:
        attributes[conventions.OUTPUT_TYPE] = "json"
    return attributes | record.told()


class CallRecord(Struct):
    """What the span of a call tells once it is exported. It refers to no span: no work for the garbage collector."""

    request: ModelRequest
    price: Price
    attempts: list[Attempt] = []
    pieces: list[str] = []
    """Of its text, where content is recorded."""
    tried: int = 0
    """Attempts that passed the gates."""
    started: float = 0.0  # by time.perf_counter(), as `first`
    first: float = 0.0
    completion: Completion | None = None

    def listening(self, on_text: OnText) -> OnText:
        """`on_text`, with the text kept: for where content is recorded."""

        def hear(text: str) -> None:
            self.pieces.append(text)
            on_text(text)

        return hear

    def paying(self, on_attempt: Callable[[Attempt], None]) -> Callable[[Attempt], None]:
        """`on_attempt`, with the attempts kept: a span tells as much as the bill."""

        def pay(attempt: Attempt) -> None:
            self.attempts.append(attempt)
            on_attempt(attempt)

        return pay

    def tell_question(self, span: Span) -> None:
        """For where content is recorded."""
        from app.telemetry.content import of_conversation  # most processes never record content

        span.set_attributes(of_conversation(self.request.system, self.request.messages))

    def tell_answer(self, span: Span) -> None:
        """For where content is recorded: what was said, also where it is cut."""
        from app.telemetry.content import of_output

        completion = self.completion
        text = "".join(self.pieces) if completion is None or completion.text is None else completion.text
        span.set_attributes(of_output(text, () if completion is None else completion.tool_calls))

    def told(self) -> dict[str, AttributeValue]:
        """What the call came to."""
        told = self._bill()
        told[conventions.ATTEMPTS] = self.tried
        if self.completion is not None:
            told[conventions.FINISH_REASONS] = [self.completion.stop_reason]
            if self.completion.reasoning_tokens:
                told[conventions.REASONING_TOKENS] = self.completion.reasoning_tokens
        if self.first and self.request.stream:
            told[conventions.TIME_TO_FIRST_CHUNK] = round(self.first - self.started, 6)
        return told

    def _bill(self) -> dict[str, AttributeValue]:
        """Of all attempts together."""
        usage = sum([attempt.usage for attempt in self.attempts], Usage())
        cost_usd = sum(attempt.nanos for attempt in self.attempts) / NANOS
        bill: dict[str, AttributeValue] = {
            conventions.INPUT_TOKENS: usage.input_tokens,
            conventions.OUTPUT_TOKENS: usage.output_tokens,
            conventions.COST_USD: cost_usd,
        }
        if usage.cache_read_tokens:
            bill[conventions.CACHE_READ_TOKENS] = usage.cache_read_tokens
        if usage.cache_write_tokens:
            bill[conventions.CACHE_WRITE_TOKENS] = usage.cache_write_tokens
        if cost_usd:
            inputs = [replace(attempt.usage, output_tokens=0) for attempt in self.attempts if attempt.nanos]
            input_usd = sum(map(self.price.cost_usd, inputs))
            bill[conventions.INPUT_COST_USD] = round(input_usd, 9)
            bill[conventions.OUTPUT_COST_USD] = round(cost_usd - input_usd, 9)
        if any(attempt.uncertain for attempt in self.attempts):
            bill[conventions.UNCERTAIN] = True
        return bill
