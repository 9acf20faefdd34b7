"""A run that waits for a person: whoever may decide is asked, and nothing works on it meanwhile."""

from collections.abc import Sequence

from app.access.on_record import entry_of
from app.audit.canonical import fingerprint
from app.ids import new_id
from app.runs.context import RunContext
from app.runs.ending import conclude_pause
from app.runs.events import ApprovalRequired, RunPaused
from app.runs.handle import RunHandle
from app.runs.permits import Ask
from app.runs.report import report_of
from app.runs.steps import ApprovalAsked, AskedCall
from app.safety.binding import binding_of
from app.telemetry.context import current
from app.telemetry.logs import log


async def ask(run: RunContext, asks: Sequence[Ask]) -> None:
    """Ask about each of these calls. The run is `paused` then, unless others are going on."""
    assert run.journal is not None  # noqa: S101 - for the type checker: no other run asks
    expires_at = round(await run.journal.now() + run.services.settings.approval_seconds, 3)
    run.record(ApprovalAsked(tuple([_asked(run, one, expires_at) for one in asks])))
    for one, asked in zip(asks, run.state.undecided[-len(asks) :], strict=True):
        _tell(run, one, asked)


async def pause(run: RunContext, handle: RunHandle) -> None:
    """Tell readers what the run waits for, and leave it to whoever works on it after the decision."""
    assert run.journal is not None  # noqa: S101 - for the type checker
    report = report_of(run)
    calls = {call.id: call for call in run.state.waiting}
    undecided = run.state.undecided
    for one in undecided:
        run.emit(
            ApprovalRequired(
                one.approval_id,
                one.call_id,
                one.tool,
                run.clean(calls[one.call_id].arguments),
                one.risk,
                one.reason,
                one.detail,
                one.expires_at,
            )
        )
    run.emit(RunPaused(run.reservation.run_id, tuple([one.approval_id for one in undecided])))
    await run.journal.pause(min(one.expires_at for one in undecided))
    conclude_pause(run, handle, report)


def _asked(run: RunContext, one: Ask, expires_at: float) -> AskedCall:
    call, run_id = one.call, run.reservation.run_id
    return AskedCall(
        new_id(),
        call.id,
        call.name,
        one.risk,
        one.reason,
        one.detail,
        one.definition,
        one.policy,
        expires_at,
        binding_of(run_id, call.id, one.definition, call.arguments, one.policy, expires_at),
        fingerprint(run.clean(call.arguments)),
    )


def _tell(run: RunContext, one: Ask, asked: AskedCall) -> None:
    run_id, user = run.reservation.run_id, run.principal.user
    log.info(
        "approval.asked",
        approval_id=asked.approval_id,
        run_id=run_id,
        user=user,
        agent=run.agent.name,
        tool=asked.tool,
        reason=asked.reason,
    )
    entry = entry_of(
        run.principal,
        "approval",
        "asked",
        on=f"{asked.tool} {asked.approval_id}",
        why=asked.reason,
        policy=asked.policy,
        run_id=run_id,
        request_id=current.get().request_id,
        arguments=asked.shown,
    )
    run.services.audit.note(entry)
