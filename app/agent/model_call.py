"""One call of a model: its events forwarded and folded, counted, priced, logged and traced."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from time import perf_counter

import msgspec
from msgspec import Struct
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter

from app.errors import AppError, ModelError
from app.events import Event, Token, Usage, UsageReported
from app.messages import Extras, ToolCall
from app.models.build import PricedModel
from app.models.protocol import Completion, Model, ModelRequest, StopReason
from app.models.tokens import estimated_input_tokens, estimated_tokens
from app.telemetry import metrics
from app.telemetry.logs import log
from app.telemetry.traces import Tracing


class Reply(Struct, frozen=True):
    """A model's complete answer."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage
    cost_usd: float
    extras: Extras | None = None


Used = Callable[[Usage, float], None]
"""Told what a call used, and its cost in US dollars; of a call that was cut, the estimate."""

_CUT = frozenset({"timeout", "cut_stream", "broken_answer"})  # failures of calls that a provider may charge for


async def call_model(
    tracing: Tracing, priced: PricedModel, request: ModelRequest, emit: Callable[[Event], None], used: Used
) -> Reply:
    """Emits a Token for each piece of text, then UsageReported. Raises what Model.generate does."""
    model = priced.model
    started = perf_counter()
    pieces: list[str] = []

    def on_text(text: str) -> None:
        if not pieces and request.stream:
            metrics.TIME_TO_FIRST_TOKEN.labels(model.ref).observe(perf_counter() - started)
        pieces.append(text)
        emit(Token(text))

    with tracing.span(f"chat {model.name}", _attributes(model, request), SpanKind.CLIENT) as span:
        try:
            completion = await model.generate(request, on_text)
        except BaseException as error:
            _record_failure(model.ref, error, started)
            if usage := _used_when_cut(request, pieces, error):
                used(usage, priced.price.cost_usd(usage))
            raise
        cost_usd = priced.price.cost_usd(completion.usage)
        _record_success(model.ref, completion, cost_usd, started, span)
    used(completion.usage, cost_usd)
    emit(UsageReported(model.ref, completion.usage, cost_usd))
    return Reply(
        "".join(pieces), completion.tool_calls, completion.stop_reason, completion.usage, cost_usd, completion.extras
    )


def _attributes(model: Model, request: ModelRequest) -> dict[str, AttributeValue]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.name,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.stream": request.stream,
    }


def _used_when_cut(request: ModelRequest, pieces: Sequence[str], error: BaseException) -> Usage | None:
    """What a call that failed or was cancelled has used, which no provider tells; None if that is nothing.

    Of a call without a stream nobody knows how far it was: all that it could have written counts.
    """
    cancelled = not isinstance(error, Exception)
    cut = isinstance(error, ModelError) and error.reason in _CUT
    if not (cancelled or cut or pieces):
        return None
    written = estimated_tokens("".join(pieces)) if request.stream else request.max_tokens
    return Usage(estimated_input_tokens(request), min(written, request.max_tokens))


def _record_success(ref: str, completion: Completion, cost_usd: float, started: float, span: Span) -> None:
    usage = completion.usage
    log.info(
        "llm_call",
        model=ref,
        tokens=usage.total,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        latency_ms=round((perf_counter() - started) * 1000, 1),
        cost_usd=cost_usd,
        success=True,
    )
    requests, cost, tokens = _series(ref)
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


def _record_failure(ref: str, error: BaseException, started: float) -> None:
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
    log.warning(
        "llm_call",
        model=ref,
        latency_ms=round((perf_counter() - started) * 1000, 1),
        success=False,
        error=outcome,
        cause=cause,
    )
