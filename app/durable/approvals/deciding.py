"""What people have decided on a run's calls since its last worker."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from app.runs.state import state_of
from app.runs.steps import ApprovalAsked, ApprovalGiven, Step

if TYPE_CHECKING:
    from app.durable.records import Records

_DECISIONS: dict[bytes, Literal["approve", "deny"]] = {
    b"approved": "approve",
    b"consumed": "approve",
    b"denied": "deny",
}


async def decisions(records: "Records", steps: Sequence[Step]) -> tuple[tuple[ApprovalGiven, ...], tuple[str, ...]]:
    """The decisions on what these steps have asked, and the ids of the calls of which the store has no question that
    could still be decided on. Raises StateUnavailable."""
    if not any(type(step) is ApprovalAsked for step in steps):
        return (), ()
    given, lapsed = [], []
    undecided = state_of(steps).undecided
    for asked, (status, by, comment) in zip(undecided, await records.decided(undecided), strict=True):
        if (decision := _DECISIONS.get(status)) is not None:
            given.append(ApprovalGiven(asked.approval_id, decision, by, comment))
        elif status != b"pending":
            lapsed.append(asked.call_id)
    return tuple(given), tuple(lapsed)
