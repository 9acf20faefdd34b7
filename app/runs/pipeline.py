"""The page: one run from its admission to its last event. Each step is a function here or in a module beside it."""

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from time import perf_counter

from msgspec.structs import asdict

from app.errors import (
    AppError,
    BudgetExceeded,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    LimitsUnavailable,
    RateLimited,
    ShuttingDown,
    StateUnavailable,
)
from app.messages import Message
from app.models.tiers import AUTO
from app.runs import cache, routing, spans
from app.runs.candidates import stay
from app.runs.context import RunContext
from app.runs.events import Answer, RunFailed, RunFinished, RunStarted, Suggestion
from app.runs.handle import RunHandle
from app.runs.journal import Journal
from app.runs.loop import loop
from app.runs.marking import keep_for_feedback
from app.runs.outcome import BAD
from app.runs.report import RunReport, count, report_of
from app.runs.resuming import resume
from app.runs.steps import Asked
from app.runs.suggestions import Ran, suggest
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.conventions import INVOKE_AGENT, OUTCOME
from app.telemetry.failing import fail
from app.telemetry.logs import log

_REFUSALS = (InvalidRequest, RateLimited, BudgetExceeded)
_LATER_SECONDS = 5.0  # after which a run that had no place is tried again


async def execute(run: RunContext, handle: RunHandle) -> None:
    """Emit the run's events; what it used is settled, and what was said kept, however it ends."""
    begun = spans.Begun.of(run)
    with run.services.tracing.span(
        f"{INVOKE_AGENT} {run.agent.name}", spans.of_run, begun, links=run.links
    ) as run.span:
        try:
            await _begin(run, handle)
            await _work(run, handle)
            await _settle_and_remember(run, () if run.state.refused else run.state.messages)
            await _finish(run, handle)
        except AppError as error:
            await _end_in_failure(run, handle, error)
        except asyncio.CancelledError as error:
            await _end_cancelled(run, handle, error)
            raise
        except Exception:  # the client sees the request id, the log has the stack
            log.exception("agent.request.crashed")
            await _end_crashed(run, handle)
        finally:
            if run.flight is not None:
                run.flight.leave()
            if run.span.is_recording():
                spans.end(run)


async def _begin(run: RunContext, handle: RunHandle) -> None:
    if run.journal is not None and run.journal.earlier is not None:
        await resume(run, handle, run.journal.earlier)
    else:
        _start(run, await _admit_and_recall(run, handle))
    if run.journal is not None:
        run.journal.mark()


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


def _start(run: RunContext, headers: Mapping[str, str]) -> None:
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
    """Raises DeadlineExceeded when it takes too long: with a journal, from the begin in the first process on."""
    seconds = left = run.agent.timeout_seconds
    if run.journal is not None:
        seconds = run.journal.seconds
        left = seconds - (perf_counter() - run.started)
    run.ends_at = asyncio.get_running_loop().time() + left
    try:
        async with asyncio.timeout_at(run.ends_at) as deadline:
            if left <= 0:
                await asyncio.sleep(0)  # for the deadline
            work = loop if run.router is None else partial(routing.choose_and_loop, run.router)
            cached = run.agent.cache.enabled and not run.state.iterations
            await (cache.answer(run, handle, work) if cached else work(run))
    except TimeoutError:
        if not deadline.expired():
            raise
        raise DeadlineExceeded(f"The run did not finish within {seconds:g} s. Ask for less at once.") from None


async def _settle_and_remember(run: RunContext, messages: Sequence[Message]) -> None:
    """In one round trip to the store. Without messages there is no turn to keep. With a journal, the run is settled as
    its end is written."""
    run.kept = True
    keep_for_feedback(run)
    appended = run.memory.keep(messages) if messages and run.request.remembered else None
    try:
        if run.journal is None:
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


async def _finish(run: RunContext, handle: RunHandle) -> None:
    report = report_of(run)
    finished = RunFinished(_answer(run, report))
    if run.journal is not None:
        await run.journal.end(finished)
        _conclude(run, handle, report)
    else:
        _conclude(run, handle, report)
        run.emit(finished)


async def _end_in_failure(run: RunContext, handle: RunHandle, error: AppError) -> None:
    if run.journal is not None:
        await _fail_in_journal(run, handle, run.journal, error)
        return
    try:
        await _settle_and_remember(run, _interrupted(run, error))
    finally:  # also where its reader leaves meanwhile: it has failed before
        _fail(run, handle, error)
    run.emit(RunFailed(error))


async def _end_cancelled(run: RunContext, handle: RunHandle, error: asyncio.CancelledError) -> None:
    """A run with a journal that nobody has ended is left to other processes: it is this one that ends."""
    reason = handle.failed_by
    if run.journal is None:
        _end_later(run)
        conclude(run, handle, reason or error)
    elif not run.journal.detached:
        if reason is None or isinstance(reason, ShuttingDown):
            await run.journal.hand_back()
        else:
            await _fail_in_journal(run, handle, run.journal, reason)


async def _end_crashed(run: RunContext, handle: RunHandle) -> None:
    defect = InternalError("Something went wrong on our side.")
    if run.journal is not None:
        await _fail_in_journal(run, handle, run.journal, defect)
        return
    _end_later(run)
    _fail(run, handle, defect)
    run.emit(RunFailed(defect))


async def _fail_in_journal(run: RunContext, handle: RunHandle, journal: Journal, error: AppError) -> None:
    """A run that has no place now, or whose limits cannot be asked, has one later."""
    if not run.admitted and isinstance(error, RateLimited | LimitsUnavailable):
        await journal.hand_back(error.retry_after or _LATER_SECONDS)
        return
    handle.commit()
    await _settle_and_remember(run, _interrupted(run, error))
    await journal.end(RunFailed(error))
    _fail(run, handle, error)


def conclude(run: RunContext, handle: RunHandle, error: BaseException | None) -> None:
    """Count and log a run that is over, and leave its report with its handle; `error` is why it has no answer. One
    that goes on elsewhere is not over."""
    if handle.report is None and (run.journal is None or not run.journal.detached):
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
    if run.request.remembered and (messages := _interrupted(run)):
        run.memory.keep_later(messages)


def _fail(run: RunContext, handle: RunHandle, error: AppError) -> None:
    if run.span.is_recording():
        fail(run.span, error)
    conclude(run, handle, error)


def _log(run: RunContext, event: str, fields: dict[str, object], text: str) -> None:
    if run.services.settings.log_content:
        fields["content"] = text
    log.note(event, fields)
