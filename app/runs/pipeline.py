"""The page: one run from its admission to its last event. Each step is a function here or in a module beside it."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial

from msgspec.structs import asdict

from app.errors import (
    AppError,
    BudgetExceeded,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    RateLimited,
    StateUnavailable,
)
from app.messages import Message
from app.models.tiers import AUTO
from app.runs import cache, routing, spans
from app.runs.candidates import stay
from app.runs.context import RunContext
from app.runs.events import Answer, RunFailed, RunFinished, RunStarted, Suggestion
from app.runs.handle import RunHandle
from app.runs.loop import loop
from app.runs.marking import keep_for_feedback
from app.runs.outcome import BAD
from app.runs.report import RunReport, count, report_of
from app.runs.steps import Asked
from app.runs.suggestions import Ran, suggest
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.conventions import INVOKE_AGENT, OUTCOME
from app.telemetry.failing import fail
from app.telemetry.logs import log

_REFUSALS = (InvalidRequest, RateLimited, BudgetExceeded)


async def execute(run: RunContext, handle: RunHandle) -> None:
    """Emit the run's events; what it used is settled, and what was said kept, however it ends."""
    begun = spans.Begun.of(run)
    with run.services.tracing.span(f"{INVOKE_AGENT} {run.agent.name}", spans.of_run, begun) as run.span:
        try:
            headers = await _admit_and_recall(run, handle)
            _begin(run, headers)
            await _work(run, handle)
            await _settle_and_remember(run, () if run.state.refused else run.state.messages)
            report = report_of(run)
            answer = _answer(run, report)
            _conclude(run, handle, report)
            run.emit(RunFinished(answer))
        except AppError as error:
            try:
                await _settle_and_remember(run, _interrupted(run, error))
            finally:  # also where its reader leaves meanwhile: it has failed before
                _fail(run, handle, error)
            run.emit(RunFailed(error))
        except asyncio.CancelledError as error:
            _end_later(run)
            conclude(run, handle, handle.failed_by or error)
            raise
        except Exception:  # the client sees the request id, the log has the stack
            log.exception("agent.request.crashed")
            _end_later(run)
            defect = InternalError("Something went wrong on our side.")
            _fail(run, handle, defect)
            run.emit(RunFailed(defect))
        finally:
            if run.flight is not None:
                run.flight.leave()
            if run.span.is_recording():
                spans.end(run)


async def _admit_and_recall(run: RunContext, handle: RunHandle) -> Mapping[str, str]:
    """In one round trip to the store. Returns headers that tell the caller where they stand."""
    memory = run.memory
    asked = None if run.request.session_id is None or run.request.history is not None else memory.ask()
    if run.agent.cache.enabled and asked is None and run.request.history is None:
        cache.ask_early(run)
    try:
        headers = await run.services.limiter.reserve(run.reservation, handle.fail)
    except BaseException:
        if asked is not None:
            asked.close()
        raise
    run.admitted = True
    if run.reservation.degraded:
        memory.degraded.append("limits")
    if asked is not None:
        try:
            recalled = await asked
        except StateUnavailable as error:
            memory.not_recalled(error)
        else:
            stay(run, recalled.turns)
            if run.router is not None:
                run.earlier = routing.highest_tier(run.router, recalled.turns)
            memory.recall(recalled, run.model, run.costs.system_prompt, run.costs.beside_tokens)
    elif run.request.history is not None:
        memory.take(run.request.history, run.model, run.costs.system_prompt, run.costs.beside_tokens)
    return headers


def _begin(run: RunContext, headers: Mapping[str, str]) -> None:
    memory, ids = run.memory, current.get()
    model = run.model.ref if run.router is None else AUTO
    run_id = run.reservation.run_id
    run.emit(RunStarted(memory.session_id, memory.message_id, run_id, model, ids.request_id, ids.trace_id, headers))
    fields: dict[str, object] = {
        "run_id": run_id,
        "user": run.principal.user,
        "session_id": memory.session_id,
        "agent": run.agent.name,
    }
    _log(run, "agent.request.start", fields, run.request.message)
    run.record(Asked(tuple(memory.conversation)))


async def _work(run: RunContext, handle: RunHandle) -> None:
    """Raises DeadlineExceeded when it takes too long."""
    seconds = run.agent.timeout_seconds
    run.ends_at = asyncio.get_running_loop().time() + seconds
    try:
        async with asyncio.timeout_at(run.ends_at) as deadline:
            work = loop if run.router is None else partial(routing.choose_and_loop, run.router)
            await (cache.answer(run, handle, work) if run.agent.cache.enabled else work(run))
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeadlineExceeded(f"The run did not finish within {seconds:g} s. Ask for less at once.") from None


async def _settle_and_remember(run: RunContext, messages: Sequence[Message]) -> None:
    """In one round trip to the store. Without messages there is no turn to keep."""
    run.kept = True
    keep_for_feedback(run)
    appended = run.memory.keep(messages) if messages else None
    try:
        await run.services.limiter.settle(run.reservation)
    except BaseException:
        if appended is not None:
            appended.close()
        raise
    if appended is not None:
        try:
            await appended
        except StateUnavailable as error:
            run.memory.not_kept(error)


def conclude(run: RunContext, handle: RunHandle, error: BaseException | None) -> None:
    """Count and log a run that is over, and leave its report with its handle; `error` is why it has no answer."""
    if handle.report is None:
        _conclude(run, handle, report_of(run, error), error)


def _conclude(run: RunContext, handle: RunHandle, report: RunReport, error: BaseException | None = None) -> None:
    handle.report = report
    if (recording := current.get().recording) is not None:
        bad, fell_back = report.outcome in BAD, report.fallback_from is not None
        recording.tell(failed=bad, fell_back=fell_back, cost_usd=report.cost_usd)
    count(run, report)
    if run.span.is_recording():
        run.span.set_attribute(OUTCOME, report.outcome)
    fields = asdict(report)
    if error is not None:
        log.note("agent.request.failed", {**fields, "error": _word_of(error)})
        return
    if (reused := run.state.reused) is not None:
        fields["age_seconds"] = reused.age_seconds
    _log(run, "agent.request.success", fields, run.state.text)


def _word_of(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.slug if isinstance(error, AppError) else InternalError.slug


def _answer(run: RunContext, report: RunReport) -> Answer:
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


def _interrupted(run: RunContext, error: AppError | None = None) -> list[Message]:
    """The messages of a run that failed or was cancelled; none where there was no run, or it was refused."""
    state = run.state
    refused = state.refused or (isinstance(error, _REFUSALS) and not (state.messages or run.pieces))
    return state.interrupted("".join(run.pieces)) if run.admitted and not (run.kept or refused) else []


def _end_later(run: RunContext) -> None:
    """In the background: a run that was cancelled waits for nothing."""
    if not run.kept:
        keep_for_feedback(run)
    run.services.limiter.settle_later(run.reservation)
    if messages := _interrupted(run):
        run.memory.keep_later(messages)


def _fail(run: RunContext, handle: RunHandle, error: AppError) -> None:
    if run.span.is_recording():
        fail(run.span, error)
    conclude(run, handle, error)


def _log(run: RunContext, event: str, fields: dict[str, object], text: str) -> None:
    if run.services.settings.log_content:
        fields["content"] = text
    log.note(event, fields)
