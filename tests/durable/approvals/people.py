"""People who decide on calls of tools."""

import asyncio
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from app.access.principal import Principal
from app.audit.canonical import fingerprint
from app.audit.entry import Entry
from app.durable.approvals.approvals import Approvals
from app.durable.approvals.record import Approval, Decision
from app.durable.keys import steps_key
from app.errors import StateUnavailable
from app.messages import AssistantMessage, ToolCall
from app.runs.steps import ApprovalAsked, AskedCall, ToolsCalled
from app.safety.binding import binding_of
from app.state.redis import connect
from app.state.store import Store
from tests.durable.stage import CALLER, OWNER, brief

encode = msgspec.json.encode

BOB = Principal("bob", scopes=frozenset({"approvals"}), authenticated=True)
EVE = Principal("eve", team="blue", scopes=frozenset({"approvals"}), authenticated=True)
ROOT = Principal("root", team="core", scopes=frozenset({"approvals", "admin"}), authenticated=True)
ADA = Principal("ada", scopes=frozenset({"approvals"}), authenticated=True)
NOBODY = Principal("bob", address="10.0.0.1", scopes=frozenset({"approvals"}))


def asked_steps(approval: Approval) -> tuple[bytes, ...]:
    """The steps of a run that has asked for it."""
    call = ToolCall(approval.call_id, approval.tool, dict(approval.arguments))
    asked = AskedCall(
        approval.approval_id,
        approval.call_id,
        approval.tool,
        approval.risk,
        "risk",
        approval.detail,
        approval.definition,
        approval.policy,
        approval.expires_at,
        approval.binding,
        fingerprint(approval.arguments),
    )
    return encode(ToolsCalled(AssistantMessage("", (call,)))), encode(ApprovalAsked((asked,)))


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


class Recorded:
    """An audit record."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []

    async def write(self, entry: Entry) -> None:
        self.entries.append(entry)

    def note(self, entry: Entry) -> None:
        self.entries.append(entry)


class Away(Recorded):
    """One whose store is away."""

    async def write(self, entry: Entry) -> None:
        raise StateUnavailable("away")


class People:
    """Approvals as a process has them; `went_on` are the runs that it has had somebody go on with."""

    def __init__(self, store: Store, **more: Any) -> None:
        self.store = store
        self.went_on: list[str] = []
        self.approvals = Approvals(store, brief(), lambda run_id, _: self.went_on.append(run_id), **more)

    async def asked(self, principal: Principal = BOB) -> Sequence[Approval]:
        """What waits for a decision, oldest first."""
        return [*reversed((await self.approvals.list(principal, status="pending")).approvals)]

    async def decide(self, decision: Decision = "approve", comment: str = "", principal: Principal = BOB) -> None:
        """On all that waits."""
        for approval in await self.asked(principal):
            await self.approvals.decide(principal, approval.approval_id, decision, comment)

    async def rewrite(self, key: str, field: str, before: bytes, after: bytes) -> None:
        """Change what the store has of an approval, as somebody with access to it could."""
        kept = await self.store.call("HGET", key, field)
        assert before in kept
        await self.store.call("HSET", key, field, kept.replace(before, after))

    async def rewrite_step(self, run_id: str, before: bytes, after: bytes) -> None:
        """Likewise, in the last of the run's steps that has it."""
        steps = await self.store.call("LRANGE", steps_key(run_id), 0, -1)
        at = max(at for at, step in enumerate(steps) if before in step)
        await self.store.call("LSET", steps_key(run_id), at, steps[at].replace(before, after))


async def deny_all(redis_url: str) -> None:
    """Somebody who denies whatever is asked, until cancelled: what may have been done is not done again."""
    store = connect(redis_url)
    try:
        while True:
            await People(store).decide("deny")
            await asyncio.sleep(0.2)
    finally:
        await store.aclose()
