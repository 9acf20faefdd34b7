"""Approvals as the API knows them: list, read, decide."""

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec.structs import replace

from app.access.on_record import entry_of
from app.access.principal import Principal
from app.audit.audit import NO_AUDIT, Audit
from app.audit.canonical import fingerprint
from app.audit.entry import Decision as Recorded
from app.audit.entry import Entry
from app.durable import keys, scripts
from app.durable.approvals.asking import all_asked, call_of
from app.durable.approvals.record import Approval, ApprovalPage, ApprovalStatus, Decision
from app.durable.approvals.replies import approval_of
from app.durable.bounds import bounds_of
from app.durable.callers import owner_of
from app.durable.replies import cursor_of, fields_of, texts
from app.errors import ApprovalChanged, ApprovalOver, Forbidden, NotFound
from app.messages import ToolCall
from app.runs.steps import AskedCall, Step
from app.safety.binding import binding_of
from app.settings import Settings
from app.state.store import Script, Store
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.logs import log

ALL_TEAMS = "admin"
"""The scope of those who see the approvals of all teams, whatever theirs is."""

_WORDS: dict[Decision, Recorded] = {"approve": "approved", "deny": "denied"}
_decode_step = msgspec.json.Decoder(Step).decode


class Approvals:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        go_on: Callable[[str, int], object],
        audit: Audit = NO_AUDIT,
    ) -> None:
        """`go_on` is called with a run on which all is decided, and its priority: somebody has to work on it."""
        self._store, self._go_on, self._audit = store, go_on, audit
        self._decide = Script(store, bounds_of(settings) + scripts.DECIDE)
        self._list = Script(store, bounds_of(settings) + scripts.LIST_APPROVALS)

    async def list(
        self, principal: Principal, *, status: ApprovalStatus | None = None, cursor: str = "", limit: int = 20
    ) -> ApprovalPage:
        """Those that the principal may see, newest first. A page may have fewer than `limit` though another one follows
        it. Raises InvalidRequest for a cursor that is no page's."""
        listed = keys.PENDING if status == "pending" else keys.APPROVALS
        if not _sees_all(principal):
            listed = f"{listed}|{principal.team}"
        reply = await self._list((listed,), status or "", *cursor_of(cursor), limit, read=fields_of)
        found = tuple([approval_of(fields_of(fields)) for fields in reply[b"approvals"]])
        return ApprovalPage(found, ".".join(texts(reply[b"next"])))

    async def read(self, principal: Principal, approval_id: str) -> Approval:
        """Raises NotFound, also for one that the principal may not see."""
        return (await self._read(principal, approval_id))[0]

    async def decide(self, principal: Principal, approval_id: str, decision: Decision, comment: str) -> Approval:
        """Raises NotFound, Forbidden for whoever asked for the run, ApprovalOver, ApprovalChanged."""
        approval, kept = await self._read(principal, approval_id)
        try:
            self._check_person(principal, approval)
            if approval.status != "pending":
                raise ApprovalOver(approval_id, approval.status)
            steps = await self._steps(approval, kept[b"binding"].decode())
            word = _WORDS[decision]
            await self._audit.write(self._entry(principal, approval, word, approval.reason))
            seen = (kept[b"binding"], kept[b"asked"], steps)
            reply = await self._decide(
                (keys.approval_key(approval_id),),
                *(approval_id, approval.run_id, word, principal.user, comment, *seen),
                read=fields_of,
            )
            _check_reply(approval_id, reply)
        except (Forbidden, ApprovalOver, ApprovalChanged) as error:
            self._audit.note(self._entry(principal, approval, "refused", error.slug))
            raise
        return self._decided(principal, approval, word, comment, reply)

    def _decided(self, principal: Principal, approval: Approval, word: Any, comment: str, reply: Any) -> Approval:
        metrics.APPROVALS.labels(word).inc()
        log.info(
            "approval.decided",
            approval_id=approval.approval_id,
            run_id=approval.run_id,
            user=principal.user,
            tool=approval.tool,
            decision=word,
        )
        if reply[b"due"]:
            self._go_on(approval.run_id, int(reply[b"priority"]))
        at = int(reply[b"decided"]) / 1_000
        return replace(approval, status=word, decided_by=principal.user, decided_at=at, comment=comment)

    async def _read(self, principal: Principal, approval_id: str) -> tuple[Approval, Any]:
        kept = fields_of(await self._store.call("HGETALL", keys.approval_key(approval_id)))
        team = kept.get(b"team", b"").decode()
        if not kept or not (_sees_all(principal) or team == principal.team):
            raise NotFound(f"There is no approval {approval_id!r}.")
        return approval_of(kept), kept

    def _check_person(self, principal: Principal, approval: Approval) -> None:
        """Raises Forbidden."""
        requester = not principal.authenticated or owner_of(principal) == approval.owner
        if requester and not approval.requester_may_decide:
            raise Forbidden("Whoever asked for the run may not decide on its calls. Have somebody else do it.")

    async def _steps(self, approval: Approval, bound: str) -> int:
        """How many steps the run has. Raises ApprovalChanged where they do not say what was asked about, or that is not
        what the approval is bound to."""
        found = [
            _decode_step(step) for step in await self._store.call("LRANGE", keys.steps_key(approval.run_id), 0, -1)
        ]
        call = call_of(found, approval.call_id)
        asked = next((one for one in all_asked(found) if one.approval_id == approval.approval_id), None)
        if call is None or asked is None or not _as_asked(approval, call, asked, bound):
            raise ApprovalChanged(approval.approval_id)
        return len(found)

    def _entry(self, principal: Principal, approval: Approval, decision: Recorded, why: str) -> Entry:
        return entry_of(
            principal,
            "approval",
            decision,
            on=f"{approval.tool} {approval.approval_id}",
            why=why,
            policy=approval.policy,
            run_id=approval.run_id,
            request_id=current.get().request_id,
            arguments=fingerprint(approval.arguments),
        )


def _as_asked(approval: Approval, call: ToolCall, asked: AskedCall, bound: str) -> bool:
    """Whether the run would make the very call that the approval shows."""
    if (call.name, fingerprint(approval.arguments)) != (approval.tool, asked.shown):
        return False
    binding = binding_of(
        approval.run_id, call.id, approval.definition, call.arguments, approval.policy, approval.expires_at
    )
    return binding == approval.binding == asked.binding == bound


def _sees_all(principal: Principal) -> bool:
    return principal.team is None or ALL_TEAMS in principal.scopes


def _check_reply(approval_id: str, reply: Any) -> None:
    """Raises what the script refuses with."""
    if (status := reply.get(b"over")) is not None:
        raise ApprovalOver(approval_id, status.decode())
    if reply.get(b"changed"):
        raise ApprovalChanged(approval_id)
    if not reply:
        raise NotFound(f"There is no approval {approval_id!r}.")
