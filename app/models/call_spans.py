"""The span of a model call: `chat {model}`, with all attempts of the call inside."""

from collections.abc import Callable, Mapping
from contextvars import Token
from time import perf_counter

from msgspec.structs import replace
from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from app.errors import AppError, ModelError
from app.messages import NANOS, Usage
from app.models.call_records import Attempt
from app.models.prices import Price
from app.models.protocol import Completion, ModelRequest
from app.telemetry import conventions
from app.telemetry.outgoing import sends

_REFUSALS = frozenset({"breaker_open", "busy", "resting"})


def of_request(provider: str, name: str, request: ModelRequest) -> Mapping[str, AttributeValue]:
    """`name` is the model's at its provider."""
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
    return attributes


class CallRecord:
    """What the span of a call that is recorded is told, from its begin to its end."""

    def __init__(self, span: Span, price: Price, request: ModelRequest, *, content: bool) -> None:
        self._span = span
        self._price = price
        self._stream = request.stream
        self._started = perf_counter()
        self._first: float | None = None
        self._usage = Usage()
        self._nanos = 0
        self._input_usd = 0.0
        self._uncertain = False
        self._token: Token[dict[str, int] | None] = sends.set({})
        self._pieces: list[str] | None = None
        if content:
            from app.telemetry.content import of_conversation  # most processes never record content

            span.set_attributes(of_conversation(request.system, request.messages))
            self._pieces = []

    def listening(self, on_text: Callable[[str], None]) -> Callable[[str], None]:
        """`on_text`, with the text kept where content is recorded."""
        pieces = self._pieces
        if pieces is None:
            return on_text

        def hear(text: str) -> None:
            pieces.append(text)
            on_text(text)

        return hear

    def paying(self, on_attempt: Callable[[Attempt], None]) -> Callable[[Attempt], None]:
        """`on_attempt`, with what the attempts cost added up: a span tells as much as the bill."""

        def pay(attempt: Attempt) -> None:
            self._usage += attempt.usage
            self._nanos += attempt.nanos
            if attempt.nanos:
                self._input_usd += self._price.cost_usd(replace(attempt.usage, output_tokens=0))
            self._uncertain |= attempt.uncertain
            on_attempt(attempt)

        return pay

    def begun(self) -> None:
        """The first content has come."""
        self._first = perf_counter()
        self._span.add_event(conventions.FIRST_CONTENT)

    def refused(self, error: AppError) -> None:
        """The call has failed; said as an event where that is the word of one of our gates."""
        if isinstance(error, ModelError) and error.reason in _REFUSALS:
            self._span.add_event(conventions.MODEL_REFUSED, {conventions.REFUSED_REASON: error.reason})

    def end(self, completion: Completion | None, attempts: int) -> None:
        """The call is over; None: without an answer."""
        sends.reset(self._token)
        told = self._bill(attempts)
        if completion is not None:
            told[conventions.FINISH_REASONS] = [completion.stop_reason]
            if completion.reasoning_tokens:
                told[conventions.REASONING_TOKENS] = completion.reasoning_tokens
        if self._first is not None and self._stream:
            told[conventions.TIME_TO_FIRST_CHUNK] = round(self._first - self._started, 6)
        if self._pieces is not None:
            from app.telemetry.content import of_output

            text = "".join(self._pieces) if completion is None or completion.text is None else completion.text
            self._span.set_attributes(of_output(text, () if completion is None else completion.tool_calls))
        self._span.set_attributes(told)

    def _bill(self, attempts: int) -> dict[str, AttributeValue]:
        usage, cost_usd = self._usage, self._nanos / NANOS
        bill: dict[str, AttributeValue] = {
            conventions.ATTEMPTS: attempts,
            conventions.INPUT_TOKENS: usage.input_tokens,
            conventions.OUTPUT_TOKENS: usage.output_tokens,
            conventions.COST_USD: cost_usd,
        }
        if usage.cache_read_tokens:
            bill[conventions.CACHE_READ_TOKENS] = usage.cache_read_tokens
        if usage.cache_write_tokens:
            bill[conventions.CACHE_WRITE_TOKENS] = usage.cache_write_tokens
        if self._nanos:
            bill[conventions.INPUT_COST_USD] = round(self._input_usd, 9)
            bill[conventions.OUTPUT_COST_USD] = round(cost_usd - self._input_usd, 9)
        if self._uncertain:
            bill[conventions.UNCERTAIN] = True
        return bill
