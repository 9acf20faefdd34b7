"""One model as runs call it: each of its calls is a span, a log line, metrics and a price, however it ends."""

from collections.abc import Callable
from functools import lru_cache
from time import perf_counter

import msgspec
from msgspec import Struct
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter

from app.errors import AppError, ModelError
from app.messages import NANOS, Usage
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.pace import Pace
from app.models.prices import Price
from app.models.protocol import Beside, Completion, Model, ModelRequest, OnBeside, OnText, unheard
from app.telemetry import metrics
from app.telemetry.logs import log
from app.telemetry.traces import Tracing


class Attempt(Struct, frozen=True):
    """One call of a model that its provider may charge for, complete or cut."""

    model: str
    usage: Usage
    nanos: int
    """What it cost, in billionths of a US dollar."""
    uncertain: bool = False
    """Nobody counted: `usage` is an estimate."""

    @property
    def cost_usd(self) -> float:
        return self.nanos / NANOS


OnAttempt = Callable[[Attempt], None]
"""Told of each attempt as soon as it is over, and before what it raises is raised."""


def unpaid(_: Attempt) -> None:
    """For callers that keep no accounts."""


_CUT = frozenset({"timeout", "cut_stream", "broken_answer"})  # failures of calls that a provider may charge for


class _Heard(Struct, frozen=True):
    """What a model had written when its call was cut."""

    written: str
    reasoned: bool
    silent_seconds: float
    """Until its first text or reasoning."""
    seconds: float


class ObservedModel:
    """A provider's model with its price. Built once a process and shared by all runs."""

    def __init__(self, model: Model, price: Price, tracing: Tracing | None = None) -> None:
        self.model = model
        self.price = price
        self.ref, self.provider, self.name = model.ref, model.provider, model.name
        self.pace = Pace()
        """Of its calls in this process."""
        self._tracing = tracing or Tracing(None)

    @property
    def dearest(self) -> Price:
        """What a reservation has to reckon with."""
        return self.price

    @property
    def context_window(self) -> int | None:
        return self.model.context_window

    @property
    def reasons(self) -> bool:
        return self.model.reasons

    async def generate(
        self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard, on_attempt: OnAttempt = unpaid
    ) -> Completion:
        """As Model.generate; the completion says which model answered and what it cost."""
        started = perf_counter()
        pieces: list[str] = []
        silent: float | None = None
        reasoned = False

        def begin() -> None:
            nonlocal silent
            silent = perf_counter() - started
            if request.stream:
                metrics.TIME_TO_FIRST_TOKEN.labels(self.ref).observe(silent)

        def hear(text: str) -> None:
            if silent is None:
                begin()
            pieces.append(text)
            on_text(text)

        def hear_beside(kind: Beside, text: str) -> None:
            nonlocal reasoned
            pieces.append(text)
            if kind == "reasoning":
                reasoned = True
                if silent is None:
                    begin()
            on_beside(kind, text)

        with self._tracing.span(f"chat {self.name}", self._attributes(request), SpanKind.CLIENT) as span:
            try:
                completion = await self.model.generate(request, hear, hear_beside)
            except BaseException as error:
                seconds = perf_counter() - started
                heard = _Heard("".join(pieces), reasoned, seconds if silent is None else silent, seconds)
                self._cut(request, heard, error, on_attempt)
                raise
            seconds = perf_counter() - started
            attempt = Attempt(self.ref, completion.usage, self._nanos(completion.usage))
            _record_success(attempt, completion, seconds, span)
        self.pace.add(completion.usage.output_tokens, seconds)
        on_attempt(attempt)
        return self._priced(completion, attempt.nanos)

    def _priced(self, completion: Completion, nanos: int) -> Completion:
        return Completion(
            completion.stop_reason,
            completion.usage,
            completion.tool_calls,
            completion.extras,
            completion.reasoning_tokens,
            completion.text,
            self.ref,
            nanos,
        )

    def _nanos(self, usage: Usage) -> int:
        return round(self.price.cost_usd(usage) * NANOS)

    def _attributes(self, request: ModelRequest) -> dict[str, AttributeValue]:
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.name,
            "gen_ai.request.max_tokens": request.max_tokens,
            "gen_ai.request.stream": request.stream,
        }

    def _cut(self, request: ModelRequest, heard: _Heard, error: BaseException, on_attempt: OnAttempt) -> None:
        usage = self._used_when_cut(request, heard, error)
        attempt = None if usage is None else Attempt(self.ref, usage, self._nanos(usage), uncertain=True)
        _record_failure(self.ref, error, heard.seconds, attempt)
        if attempt is not None:
            on_attempt(attempt)

    def _used_when_cut(self, request: ModelRequest, heard: _Heard, error: BaseException) -> Usage | None:
        """Estimated usage of a failed or cancelled call, or None if it never reached its provider or was refused.

        A stream tells what the model wrote, except for reasoning that its provider keeps to itself. A plain call tells
        nothing: the time it took, at the pace of the model's other calls, is what it can have written.
        """
        cancelled = not isinstance(error, Exception)
        cut = isinstance(error, ModelError) and error.reason in _CUT
        told = estimated_tokens(heard.written)
        if not (cancelled or cut or told):
            return None
        maximum = request.max_tokens + request.max_reasoning_tokens
        if not request.stream:
            told = max(told, self.pace.written(heard.seconds))
        elif self.reasons and not heard.reasoned:
            told += min(self.pace.written(heard.silent_seconds), request.max_reasoning_tokens)
        return Usage(estimated_input_tokens(request), min(told, maximum))

    async def probe(self) -> None:
        await self.model.probe()

    async def aclose(self) -> None:
        await self.model.aclose()


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def _record_success(attempt: Attempt, completion: Completion, seconds: float, span: Span) -> None:
    usage, cost_usd = attempt.usage, attempt.cost_usd
    log.info(
        "llm_call",
        model=attempt.model,
        tokens=usage.total,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        latency_ms=_milliseconds(seconds),
        cost_usd=cost_usd,
        success=True,
    )
    requests, cost, tokens = _series(attempt.model)
    requests.inc()
    if cost_usd:
        cost.inc(cost_usd)
    for series, count in zip(tokens, msgspec.structs.astuple(usage), strict=True):
        if count:
            series.inc(count)
    if span.is_recording():
        span.set_attributes(
            {
                "gen_ai.response.finish_reasons": [completion.stop_reason],
                "gen_ai.usage.input_tokens": usage.input_tokens,
                "gen_ai.usage.output_tokens": usage.output_tokens,
                "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
                "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
                "agent.cost_usd": cost_usd,
            }
        )


@lru_cache(maxsize=128)
def _series(ref: str) -> tuple[Counter, Counter, tuple[Counter, ...]]:
    tokens = tuple(metrics.TOKENS.labels(ref, kind) for kind in metrics.TOKEN_TYPES)
    return metrics.MODEL_REQUESTS.labels(ref, "ok"), metrics.COST.labels(ref), tokens


def _record_failure(ref: str, error: BaseException, seconds: float, attempt: Attempt | None) -> None:
    match error:
        case ModelError():
            outcome, cause = error.reason, error.cause
        case AppError():
            outcome, cause = error.slug, ""
        case Exception():
            outcome, cause = "error", ""
        case _:
            outcome, cause = "cancelled", ""
    metrics.MODEL_REQUESTS.labels(ref, outcome).inc()
    write = log.error if outcome == "quota" else log.warning  # until the operator acts, no call succeeds
    write(
        "llm_call",
        model=ref,
        latency_ms=_milliseconds(seconds),
        success=False,
        error=outcome,
        cause=cause,
        **({} if attempt is None else _record_estimate(attempt)),
    )


def _record_estimate(attempt: Attempt) -> dict[str, object]:
    """Count the tokens that nobody counted; what the log says of them."""
    usage = attempt.usage
    metrics.UNCERTAIN_TOKENS.labels(attempt.model, "input").inc(usage.input_tokens)
    metrics.UNCERTAIN_TOKENS.labels(attempt.model, "output").inc(usage.output_tokens)
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": attempt.cost_usd,
        "uncertain": True,
    }
