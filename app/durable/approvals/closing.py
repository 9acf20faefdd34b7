"""Approvals that wait no more since their run is over, or since something else is asked: counted, logged, on record."""

from collections.abc import Sequence

from app.audit.audit import Audit
from app.audit.entry import Entry
from app.telemetry import metrics
from app.telemetry.logs import log


def tell_closed(run_id: str, closed: Sequence[bytes], audit: Audit) -> None:
    """`closed` is as write.lua returns it: approval, status, tool of each."""
    words = [word.decode() for word in closed]
    for approval_id, status, tool in zip(words[::3], words[1::3], words[2::3], strict=True):
        metrics.APPROVALS.labels(status).inc()
        if status == "expired":
            log.warning("approval.expired", approval_id=approval_id, run_id=run_id, tool=tool)
            audit.note(Entry("approval", "expired", on=f"{tool} {approval_id}", why="unanswered", run_id=run_id))
