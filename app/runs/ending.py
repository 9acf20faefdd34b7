"""How a run ends: with its answer, a failure, or its cancellation. What it used is settled, and what was said kept."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec.structs import asdict

from app.access.on_record import entry_of
from app.errors import (
    AppError,
    BudgetExceeded,
    GuardUnavailable,
    InternalError,
    InvalidRequest,
    LimitsUnavailable,
    RateLimited,
    ShuttingDown,
    StateUnavailable,
    UnsafeInput,
)
from app.messages import Message
from app.runs.answering import answer_of
from app.runs.context import RunContext
from app.runs.events import RunFailed, RunFinished
from app.runs.handle import RunHandle
from app.runs.journal import Journal
from app.runs.marking import keep_for_feedback
from app.runs.outcome import BAD
from app.runs.report import RunReport, count, report_of
from app.telemetry.context import current
from app.telemetry.failing import fail
from app.telemetry.logs import log
from app.telemetry.redactions import of_run

_REFUSALS = (InvalidRequest, RateLimited, BudgetExceeded)
_UNCHECKED = (UnsafeInput, GuardUnavailable)
"""Nothing is kept of runs that end so."""
_LATER_SECONDS = 5.0  # after which a run that had no place is tried again


async def finish(run: RunContext, handle: RunHandle) -> None:
    """Settle what the run has used and keep what was said, in one round trip to the store; then its last event."""
    messages = () if run.state.refused else run.state.messages
    if run.journal is not None:
        await run.journal.hold()  # what another process has taken is not kept
        report = report_of(run)
        await _end_in_journal(run, run.journal, messages, RunFinished(answer_of(run, report)))
        _conclude(run, handle, report)
        return
    await _settle_and_remember(run, messages)
    report = report_of(run)
    finished = RunFinished(answer_of(run, report))
    _conclude(run, handle, report)
    run.emit(finished)


async def _settle_and_remember(run: RunContext, messages: Sequence[Message]) -> None:
    """Without messages there is no turn to keep."""
    run.kept = True
    keep_for_feedback(run)
    if away := await _with_turn(run, messages, run.services.limiter.settle(run.reservation)):
        run.memory.not_kept(away)


async def _end_in_journal(
    run: RunContext, journal: Journal, messages: Sequence[Message], event: RunFinished | RunFailed
) -> None:
    """The turn leaves together with the run's end, which settles it. Where one of the two is sent again, it counts
    once."""
    if not run.kept:
        keep_for_feedback(run)
    run.kept = True
    if await _with_turn(run, messages, journal.end(event)):
        run.memory.keep_later(messages, tainted=run.state.tainted)


async def _with_turn(
    run: RunContext, messages: Sequence[Message], settled: Coroutine[Any, Any, None]
) -> AppError | None:
    """Have the turn leave just before what is `settled`, and return when both are there; with why the turn could not
    be kept. A turn whose run cannot be settled is not waited for."""
    if not (messages and run.request.remembered):
        await settled
        return None
    try:
        kept = run.memory.keep(messages, tainted=run.state.tainted)
    except GuardUnavailable as error:
        await settled
        return error
    try:
        await settled
    except BaseException:
        kept.close()
        raise
    try:
        await kept
    except StateUnavailable as error:
        return error
    return None


async def fail_with(run: RunContext, handle: RunHandle, error: AppError) -> None:
    if run.journal is not None:
        await _fail_in_journal(run, handle, run.journal, error)
        return
    try:
        await _settle_and_remember(run, _interrupted(run, error))
    finally:  # also where its reader leaves meanwhile: it has failed before
        _fail(run, handle, error)
    run.emit(RunFailed(error))


async def end_cancelled(run: RunContext, handle: RunHandle, error: asyncio.CancelledError) -> None:
    """A run with a journal that nobody has ended is left to other processes: it is this one that ends."""
    reason = handle.failed_by
    if run.journal is None:
        _end_later(run, reason)
        conclude(run, handle, reason or error)
    elif not run.journal.detached:
        if reason is None or isinstance(reason, ShuttingDown):
            await run.journal.hand_back()
        else:
            await _fail_in_journal(run, handle, run.journal, reason)


async def end_crashed(run: RunContext, handle: RunHandle) -> None:
    defect = InternalError("Something went wrong on our side.")
    if run.journal is not None:
        await _fail_in_journal(run, handle, run.journal, defect)
        return
    _end_later(run)
    _fail(run, handle, defect)
    run.emit(RunFailed(defect))


async def _fail_in_journal(run: RunContext, handle: RunHandle, journal: Journal, error: AppError) -> None:
    """A run that has no place now, or whose limits cannot be asked, has one later."""
    if journal.waits and not run.admitted and isinstance(error, RateLimited | LimitsUnavailable):
        await journal.hand_back(error.retry_after or _LATER_SECONDS)
        return
    handle.commit()
    if run.admitted:
        await journal.hold()
    await _end_in_journal(run, journal, _interrupted(run, error), RunFailed(error))
    _fail(run, handle, error)


def conclude(run: RunContext, handle: RunHandle, error: BaseException | None) -> None:
    """Count and log a run that is over, and leave its report with its handle; `error` is why it has no answer. One
    that goes on elsewhere is not over."""
    if handle.report is None and (run.journal is None or not run.journal.detached):
        _conclude(run, handle, report_of(run, error), error)


def conclude_pause(run: RunContext, handle: RunHandle, report: RunReport) -> None:
    """Count and log a run that waits for a person: what it came to is told when it is over."""
    _count(run, handle, report)
    log.note("agent.request.waiting", asdict(report))


def _conclude(run: RunContext, handle: RunHandle, report: RunReport, error: BaseException | None = None) -> None:
    if (recording := current.get().recording) is not None:
        bad, fell_back = report.outcome in BAD, report.fallback_from is not None
        recording.tell(failed=bad, fell_back=fell_back, cost_usd=report.cost_usd)
    _count(run, handle, report)
    fields = asdict(report)
    if error is not None:
        log.note("agent.request.failed", {**fields, "error": _word_of(error)})
        return
    if (reused := run.state.reused) is not None:
        fields["age_seconds"] = reused.age_seconds
    log.note("agent.request.success", with_content(run, fields, run.state.text))


def _count(run: RunContext, handle: RunHandle, report: RunReport) -> None:
    handle.report = report
    run.outcome = report.outcome
    count(run, report)
    _put_redactions_on_record(run)


def _put_redactions_on_record(run: RunContext) -> None:
    """How often something of each kind was taken out of what the run has said and kept."""
    run_id = run.reservation.run_id
    for kind, times in (of_run.get() or {}).items():
        run.services.audit.note(
            entry_of(run.principal, "redact", "flagged", on=run.agent.name, why=kind, run_id=run_id, count=times)
        )


def _word_of(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError):
        return "cancelled"
    return error.slug if isinstance(error, AppError) else InternalError.slug


def _interrupted(run: RunContext, error: AppError | None = None) -> list[Message]:
    """The messages of a run that failed or was cancelled; none where there was no run, or it was refused."""
    run.break_off()
    state = run.state
    refused = state.refused or (isinstance(error, _REFUSALS) and not (state.messages or run.pieces))
    refused = refused or isinstance(error, _UNCHECKED)
    return state.interrupted("".join(run.pieces)) if run.admitted and not (run.kept or refused) else []


def _end_later(run: RunContext, reason: AppError | None = None) -> None:
    """In the background: a run that was cancelled waits for nothing."""
    if not run.kept:
        keep_for_feedback(run)
    run.services.limiter.settle_later(run.reservation)
    if run.request.remembered and (messages := _interrupted(run, reason)):
        run.memory.keep_later(messages, tainted=run.state.tainted)


def _fail(run: RunContext, handle: RunHandle, error: AppError) -> None:
    if run.span.is_recording():
        fail(run.span, error)
    conclude(run, handle, error)


def with_content(run: RunContext, fields: dict[str, object], text: str) -> dict[str, object]:
    """Fields of a log line; what was said is among them only by LOG_CONTENT."""
    if run.services.settings.log_content:
        fields["content"] = text
    return fields
