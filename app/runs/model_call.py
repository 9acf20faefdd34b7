"""One call of a model: its events forwarded and folded, counted, priced, logged and traced."""

from collections.abc import Callable
from functools import lru_cache
from time import perf_counter
from typing import Protocol

import msgspec
from msgspec import Struct
from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue
from prometheus_client import Counter

from app.errors import AppError, ModelError
from app.messages import Extras, ToolCall, Usage
from app.models.catalog import PricedModel
from app.models.protocol import Beside, Completion, Model, ModelRequest, StopReason
from app.models.tokens import estimated_input_tokens, estimated_tokens
from app.runs.events import Event, Reasoning, Token, UsageReported
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
    reasoning_tokens: int = 0


class Used(Protocol):
    def __call__(self, usage: Usage, cost_usd: float, *, uncertain: bool) -> None:
        """Told what a call used, and its cost in US dollars. `uncertain`: it was cut, and this is an estimate."""


_CUT = frozenset({"timeout", "disconnected", "cut_stream", "broken_answer"})
"""Failures of calls that a provider may charge for."""


class _Heard(Struct, frozen=True):
    """What a model had written when its call was cut."""

    written: str
    reasoned: bool
    silent_seconds: float
    """Until its first text or reasoning."""
    seconds: float


async def call_model(
    tracing: Tracing,
    priced: PricedModel,
    request: ModelRequest,
    emit: Callable[[Event], None],
    used: Used,
    pieces: list[str],
) -> Reply:
    """Emits a Token for each piece of text and a Reasoning for each of reasoning, then UsageReported.

    `pieces`, which is empty, gets the text as well: all that there is of an answer that fails. Raises what
    Model.generate does.
    """
    model = priced.model
    started = perf_counter()
    beside: list[str] = []
    silent: float | None = None
    reasoned = False

    def begin() -> None:
        nonlocal silent
        silent = perf_counter() - started
        if request.stream:
            metrics.TIME_TO_FIRST_TOKEN.labels(model.ref).observe(silent)

    def on_text(text: str) -> None:
        if silent is None:
            begin()
        pieces.append(text)
        emit(Token(text))

    def on_beside(kind: Beside, text: str) -> None:
        nonlocal reasoned
        beside.append(text)
        if kind == "reasoning":
            reasoned = True
            if silent is None:
                begin()
            emit(Reasoning(text))

    with tracing.span(f"chat {model.name}", _attributes(model, request), SpanKind.CLIENT) as span:
        try:
            completion = await model.generate(request, on_text, on_beside)
        except BaseException as error:
            seconds = perf_counter() - started
            written = "".join(pieces) + "".join(beside)
            heard = _Heard(written, reasoned, seconds if silent is None else silent, seconds)
            usage = _used_when_cut(priced, request, heard, error)
            cost_usd = 0.0 if usage is None else priced.price.cost_usd(usage)
            _record_failure(model.ref, error, started, usage, cost_usd)
            if usage is not None:
                used(usage, cost_usd, uncertain=True)
            raise
        cost_usd = priced.price.cost_usd(completion.usage)
        _record_success(model.ref, completion, cost_usd, started, span)
    priced.pace.saw(completion.usage.output_tokens, perf_counter() - started)
    used(completion.usage, cost_usd, uncertain=False)
    emit(UsageReported(model.ref, completion.usage, cost_usd))
    return Reply(
        "".join(pieces) if completion.text is None else completion.text,
        completion.tool_calls,
        completion.stop_reason,
        completion.usage,
        cost_usd,
        completion.extras,
        completion.reasoning_tokens,
    )


def _attributes(model: Model, request: ModelRequest) -> dict[str, AttributeValue]:
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": model.provider,
        "gen_ai.request.model": model.name,
        "gen_ai.request.max_tokens": request.max_tokens,
        "gen_ai.request.stream": request.stream,
    }


def _used_when_cut(priced: PricedModel, request: ModelRequest, heard: _Heard, error: BaseException) -> Usage | None:
    """Estimated usage of a failed or cancelled call, or None if it never reached its provider or was refused.

    A stream tells what the model wrote, except for reasoning that its provider keeps to itself. A plain call tells
    nothing: the time it took, at the pace of the model's other calls, is what it can have written.
    """
    cancelled = not isinstance(error, Exception)
    cut = isinstance(error, ModelError) and error.reason in _CUT
    told = estimated_tokens(heard.written)
    if not (cancelled or cut or told):
        return None
    most = request.max_tokens + request.max_reasoning_tokens
    if not request.stream:
        told = max(told, priced.pace.written(heard.seconds))
    elif priced.model.reasons and not heard.reasoned:
        told += min(priced.pace.written(heard.silent_seconds), request.max_reasoning_tokens)
    return Usage(estimated_input_tokens(request), min(told, most))


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


def _record_failure(ref: str, error: BaseException, started: float, usage: Usage | None, cost_usd: float) -> None:
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
        latency_ms=round((perf_counter() - started) * 1000, 1),
        success=False,
        error=outcome,
        cause=cause,
        **({} if usage is None else _record_estimate(ref, usage, cost_usd)),
    )


def _record_estimate(ref: str, usage: Usage, cost_usd: float) -> dict[str, object]:
    """Count the tokens that nobody counted; what the log says of them."""
    metrics.UNCERTAIN_TOKENS.labels(ref, "input").inc(usage.input_tokens)
    metrics.UNCERTAIN_TOKENS.labels(ref, "output").inc(usage.output_tokens)
    return {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": cost_usd,
        "uncertain": True,
    }
