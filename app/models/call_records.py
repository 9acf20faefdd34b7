"""What an attempt of a model call leaves behind: its log line and its metrics."""

from functools import lru_cache
from typing import Any

import msgspec
from msgspec import Struct
from prometheus_client import Counter, Histogram

from app.errors import ModelError
from app.messages import NANOS, Usage
from app.models.failure_table import TABLE, class_of
from app.models.prices import UNKNOWN, Price
from app.telemetry import metrics
from app.telemetry.exemplars import exemplar
from app.telemetry.known_series import TOKEN_TYPES
from app.telemetry.logs import log


class Attempt(Struct, frozen=True):
    """One call of a model that its provider may charge for, complete or cut."""

    model: str
    usage: Usage
    nanos: int
    """What it cost, in billionths of a US dollar."""
    uncertain: bool = False
    """Nobody counted: `usage` is an estimate."""
    shared: tuple[int, int] | None = None
    """Tokens and nano-dollars that budgets of more than the caller are charged, where these are less."""

    @property
    def cost_usd(self) -> float:
        return self.nanos / NANOS


def count_unpriced(ref: str, price: Price) -> None:
    """Of an attempt that a provider may charge for: count it if nobody knows how much."""
    if price is UNKNOWN:
        metrics.UNKNOWN_PRICE_CALLS.labels(ref).inc()


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 1)


def record_answer(attempt: Attempt, seconds: float, number: int) -> None:
    """Of an attempt that came to an answer; `number` is its place among those of its call."""
    usage, cost_usd = attempt.usage, attempt.cost_usd
    fields = {
        "model": attempt.model,
        "tokens": usage.total,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "latency_ms": _milliseconds(seconds),
        "cost_usd": cost_usd,
        "success": True,
    }
    if number > 1:
        fields["attempt"] = number
    log.note("llm_call", fields)
    count_answer(attempt)


def count_answer(attempt: Attempt) -> None:
    """Count an attempt that came to an answer, and its tokens and their cost."""
    requests, cost, tokens = _series(attempt.model)
    requests.inc()
    if attempt.nanos:
        cost.inc(attempt.cost_usd)
    for series, count in zip(tokens, msgspec.structs.astuple(attempt.usage), strict=True):
        if count:
            series.inc(count)


@lru_cache(maxsize=128)
def _series(ref: str) -> tuple[Counter, Counter, tuple[Counter, ...]]:
    tokens = tuple(metrics.TOKENS.labels(ref, kind) for kind in TOKEN_TYPES)
    return metrics.MODEL_REQUESTS.labels(ref, "ok"), metrics.COST.labels(ref), tokens


def record_first_token(ref: str, seconds: float) -> None:
    """Of a streamed call: the time until something was told."""
    _stream_series(ref)[0].observe(seconds, exemplar())


def record_writing(ref: str, seconds: float, tokens: int) -> None:
    """Of a streamed call that came to an answer: the time from its first token to its end, and how many there were."""
    if tokens > 1:
        _stream_series(ref)[1].observe(seconds / (tokens - 1), exemplar())


@lru_cache(maxsize=128)
def _stream_series(ref: str) -> tuple[Histogram, Histogram]:
    return metrics.TIME_TO_FIRST_TOKEN.labels(ref), metrics.TIME_PER_OUTPUT_TOKEN.labels(ref)


def record_failure(ref: str, error: BaseException, seconds: float, attempt: Attempt | None, number: int) -> None:
    """Of an attempt that came to no answer; `attempt` is what it can have used."""
    outcome = class_of(error)
    metrics.MODEL_REQUESTS.labels(ref, outcome).inc(1, exemplar())
    further = {} if attempt is None else _record_estimate(attempt)
    if number > 1:
        further["attempt"] = number
    write = log.error if TABLE[outcome].alert else log.warning  # until the operator acts, it does not heal
    write(
        "llm_call",
        model=ref,
        latency_ms=_milliseconds(seconds),
        success=False,
        error=outcome,
        **_told(error),
        **further,
    )


def _told(error: BaseException) -> dict[str, Any]:
    """What the log says of the failure. The provider's own words repeat prompts, and are there only by LOG_CONTENT."""
    if not isinstance(error, ModelError):
        return {}
    words = {"words": error.words} if log.content and error.words else {}
    return {"cause": error.cause, **words} if error.cause else words


def _record_estimate(attempt: Attempt) -> dict[str, Any]:
    """Count the tokens that nobody counted and their cost, as usage does; what the log says of them."""
    usage = attempt.usage
    metrics.COST.labels(attempt.model).inc(attempt.cost_usd)
    for kind, count in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        metrics.TOKENS.labels(attempt.model, kind).inc(count)
        metrics.UNCERTAIN_TOKENS.labels(attempt.model, kind).inc(count)
    return {
        "tokens": usage.total,
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cost_usd": attempt.cost_usd,
        "uncertain": True,
    }
