"""The answer of a run that has come to its end."""

from app.runs.context import RunContext
from app.runs.events import Answer, Suggestion
from app.runs.report import RunReport
from app.runs.suggestions import Ran, suggest
from app.telemetry import metrics
from app.telemetry.context import current


def answer_of(run: RunContext, report: RunReport) -> Answer:
    state, memory = run.state, run.memory
    metrics.OVERHEAD.observe(max(report.latency_ms / 1000 - run.outside_seconds, 0.0))
    ids = current.get()
    degraded = memory.degraded
    return Answer(
        answer=state.text,
        session_id=memory.session_id,
        message_id=memory.message_id,
        run_id=report.run_id,
        model=report.model,
        cached=report.cached,
        age_seconds=None if state.reused is None else state.reused.age_seconds,
        fallback_from=report.fallback_from,
        attempts=report.attempts,
        finish_reason=state.finish_reason or "stop",
        usage=state.usage,
        tokens_used=state.usage.total,
        cost_usd=state.cost_usd,
        latency_ms=report.latency_ms,
        trace_id=ids.trace_id,
        request_id=ids.request_id,
        sources=state.sources,
        degraded=(*degraded, "tool_results") if state.results_shortened else tuple(degraded),
        escalated=state.handed_over,
        tool_calls=state.tool_calls,
        iterations=state.iterations,
        suggestions=_suggestions(run),
    )


def _suggestions(run: RunContext) -> tuple[Suggestion, ...]:
    if not run.request.suggestions:
        return ()
    return suggest(Ran(run.state, run.memory.history, run.model, run.services.models, run.tools.registry))
