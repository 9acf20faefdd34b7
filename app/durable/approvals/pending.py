"""What a run waits for: for its own caller, who need not be one of those who decide."""

from app.durable import keys
from app.durable.approvals.record import Approval
from app.durable.approvals.replies import approval_of
from app.durable.replies import fields_of
from app.state.store import Store


async def pending_of(store: Store, run_id: str) -> tuple[Approval, ...]:
    """In the order that they were asked for. Raises StateUnavailable."""
    ids = await store.call("SMEMBERS", keys.approvals_key(run_id))
    asked = [store.call("HGETALL", keys.approval_key(each.decode())) for each in ids]
    found = [approval_of(fields) for each in asked if (fields := fields_of(await each))]
    waiting = [approval for approval in found if approval.status == "pending"]
    return tuple(sorted(waiting, key=lambda approval: (approval.created_at, approval.approval_id)))
