"""TEMPORARY double in memory: replaced by the core's."""

import time

from msgspec.structs import replace

from app.access.principal import Principal
from app.durable.approvals.record import Approval, ApprovalPage, ApprovalStatus, Decision
from app.errors import ApprovalChanged, ApprovalOver, Forbidden, NotFound


class Approvals:
    def __init__(self) -> None:
        self.kept: dict[str, Approval] = {}

    async def list(
        self, principal: Principal, *, status: ApprovalStatus | None = None, cursor: str = "", limit: int = 20
    ) -> ApprovalPage:
        found = [one for one in reversed(self.kept.values()) if status in (None, one.status)]
        start = int(cursor or 0)
        return ApprovalPage(
            tuple(found[start : start + limit]), str(start + limit) if len(found) > start + limit else ""
        )

    async def read(self, principal: Principal, approval_id: str) -> Approval:
        found = self.kept.get(approval_id)
        if found is None:
            raise NotFound(f"There is no approval {approval_id!r}.")
        return found

    async def decide(self, principal: Principal, approval_id: str, decision: Decision, comment: str) -> Approval:
        found = await self.read(principal, approval_id)
        if not found.requester_may_decide and found.requester.user == principal.user:
            raise Forbidden("Whoever asked for the run may not decide on its calls.")
        if found.status != "pending":
            raise ApprovalOver(approval_id, found.status)
        if found.binding == "changed":
            raise ApprovalChanged(approval_id)
        status: ApprovalStatus = "approved" if decision == "approve" else "denied"
        decided = replace(found, status=status, decided_by=principal.user, decided_at=time.time(), comment=comment)
        self.kept[approval_id] = decided
        return decided
