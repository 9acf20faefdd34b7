"""People who decide on calls of tools."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app.access.principal import Principal
from app.durable.approvals.approvals import Approvals
from app.durable.approvals.record import Approval, Decision
from app.messages import AssistantMessage, ToolCall
from app.runs.steps import ToolsCalled
from app.safety.binding import binding_of
from app.state.store import Store
from tests.durable.stage import CALLER, OWNER, brief

encode = msgspec.json.encode

BOB = Principal("bob", scopes=frozenset({"approvals"}), authenticated=True)
EVE = Principal("eve", team="blue", scopes=frozenset({"approvals"}), authenticated=True)


def called(call_id: str = "a", tool: str = "pay", **arguments: Any) -> tuple[bytes, ...]:
    """The steps of a run that wants a tool to be called."""
    return (encode(ToolsCalled(AssistantMessage("", (ToolCall(call_id, tool, arguments),)))),)


def waiting_approval(run_id: str, call_id: str = "a", tool: str = "pay", **arguments: Any) -> Approval:
    """Of that call."""
    expires_at = round(time.time(), 3) + 60
    return Approval(
        approval_id=f"approval-of-{run_id}-{call_id}",
        run_id=run_id,
        owner=OWNER,
        requester=CALLER,
        agent="default",
        tool=tool,
        call_id=call_id,
        arguments=arguments,
        risk="high",
        reason="risk",
        detail="The risk of pay is high.",
        requester_may_decide=False,
        binding=binding_of(run_id, call_id, "definition", arguments, "policy", expires_at),
        definition="definition",
        policy="policy",
        created_at=0.0,
        expires_at=expires_at,
    )


class People:
    """Approvals as a process has them; `went_on` are the runs that it has had somebody go on with."""

    def __init__(self, store: Store, **more: Any) -> None:
        self.went_on: list[str] = []
        self.approvals = Approvals(store, brief(), lambda run_id, _: self.went_on.append(run_id), **more)

    async def asked(self, principal: Principal = BOB) -> Sequence[Approval]:
        """What waits for a decision, oldest first."""
        return (await self.approvals.list(principal, status="pending")).approvals[::-1]

    async def decide(self, decision: Decision = "approve", comment: str = "", principal: Principal = BOB) -> None:
        """On all that waits."""
        for approval in await self.asked(principal):
            await self.approvals.decide(principal, approval.approval_id, decision, comment)

    async def decide_at_once(self, approval: Approval, times: int) -> list[Any]:
        deciding = [self.approvals.decide(BOB, approval.approval_id, "approve", "") for _ in range(times)]
        return await asyncio.gather(*deciding, return_exceptions=True)
