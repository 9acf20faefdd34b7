"""A run's report: the one account of what it came to, from which its log line, its metrics and its request's line are
made."""

from functools import lru_cache
from time import perf_counter

from msgspec import Struct
from prometheus_client import Counter, Histogram

from app.runs.context import RunContext
from app.runs.events import FinishReason
from app.runs.outcome import OUTCOMES, Outcome, outcome_of
from app.runs.steps import Attempted
from app.telemetry import metrics
from app.telemetry.exemplars import exemplar


class RunReport(Struct, frozen=True):
    """What a run came to, used and cost: fields of log lines, in their order."""

    run_id: str
    user: str
    session_id: str
    agent: str
    outcome: Outcome
    finish_reason: FinishReason | None
    """None: the run has no answer."""
    model: str
    """That answered, or was to answer last; of a cached answer the one that had made it."""
    fallback_from: str | None
    """The model that was meant to answer, where another one did."""
    attempts: int
    """Calls of models, those that failed included."""
    iterations: int
    tokens: int
    """Of all these calls."""
    uncertain_tokens: int
    """The part of them that is an estimate, for calls that were cut."""
    cost_usd: float
    cached: bool
    ttft_ms: float | None
    """Until the reader of a stream had the first text or reasoning."""
    queue_ms: float
    """That its calls waited for MAX_CONCURRENT_CALLS."""
    latency_ms: float


def report_of(run: RunContext, error: BaseException | None = None) -> RunReport:
    """Of a run that is over, or waits for a person; `error` ended it before it had an answer."""
    state, reused = run.state, run.state.reused
    told = run.told_at if run.request.stream else 0.0
    return RunReport(
        run.reservation.run_id,
        run.principal.user,
        run.memory.session_id,
        run.agent.name,
        "waiting" if error is None and state.paused else outcome_of(error, state.finish_reason),
        state.finish_reason if error is None else None,
        run.model.ref if reused is None else reused.model,
        run.fallback_from if reused is None else None,
        run.attempts,
        state.iterations,
        state.usage.total,
        state.uncertain_tokens,
        state.cost_usd,
        reused is not None,
        _milliseconds(told - run.started) if told else None,
        _milliseconds(run.trail.queued_seconds),
        _milliseconds(perf_counter() - run.started),
    )


def count(run: RunContext, report: RunReport) -> None:
    """Count the run; one that was let in and is over also by its time, its cost and its largest prompt."""
    series = series_of(report.agent)
    trace = exemplar()
    series.runs[report.outcome].inc(1, trace)
    if not run.admitted or report.outcome == "waiting":
        return
    series.latency.observe(report.latency_ms / 1000, trace)
    series.cost.observe(report.cost_usd, trace)
    if (largest := _largest_prompt(run)) is not None:
        ref, ratio = largest
        _context_series(ref).observe(ratio, trace)


class AgentSeries(Struct, frozen=True):
    """The series of one agent's runs."""

    runs: dict[Outcome, Counter]
    latency: Histogram
    cost: Histogram


@lru_cache(maxsize=1024)
def series_of(agent: str) -> AgentSeries:
    """All of them begin at 0 when they are first asked for."""
    runs = {outcome: metrics.RUNS.labels(agent, outcome) for outcome in OUTCOMES}
    return AgentSeries(runs, metrics.RUN_LATENCY.labels(agent), metrics.RUN_COST.labels(agent))


@lru_cache(maxsize=128)
def _context_series(ref: str) -> Histogram:
    return metrics.RUN_CONTEXT_RATIO.labels(ref)


def _largest_prompt(run: RunContext) -> tuple[str, float] | None:
    """The model and the share of its context window, of the prompt that filled it most."""
    windows = {candidate.model.ref: candidate.model.context_window for candidate in run.candidates}
    largest: tuple[str, float] | None = None
    for step in run.steps:
        if type(step) is Attempted and (window := windows.get(step.model)):
            ratio = step.usage.input_tokens / window
            if largest is None or ratio > largest[1]:
                largest = step.model, ratio
    return largest


def _milliseconds(seconds: float) -> float:
    return round(seconds * 1000, 2)
