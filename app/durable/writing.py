"""A write as write.lua takes it."""

from app.durable.record import Write
from app.durable.replies import MILLIS
from app.state.store import Argument

_NO_END = ("", b"", b"", b"", b"")


def arguments_of(write: Write) -> tuple[Argument, ...]:
    """All but those of the settlement."""
    claim, ending = write.claim, write.ending
    end = _NO_END if ending is None else (ending.status, ending.answer, ending.error, ending.delivery, ending.work)
    fixed: tuple[Argument, ...] = (
        claim.run_id,
        claim.number,
        write.first_step,
        len(write.steps),
        write.first_event,
        len(write.events),
        write.carried,
        *end,
        round(write.waits_until * MILLIS),
        len(write.asked),
        len(write.consumed),
        *write.steps,
        *write.events,
    )
    if not (write.asked or write.consumed):
        return fixed
    approvals: list[Argument] = []
    for asked in write.asked:
        expires = round(asked.expires_at * MILLIS)
        approvals += (asked.approval_id, asked.team, asked.tool, asked.binding, expires, asked.approval)
    for consumed in write.consumed:
        approvals += (consumed.approval_id, consumed.binding)
    return (*fixed, *approvals)
