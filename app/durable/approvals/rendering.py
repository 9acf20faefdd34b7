"""Approvals as callers see them. Times are RFC 3339 in UTC."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from app.durable.approvals.record import Approval, ApprovalStatus
from app.durable.moments import moment, moment_or_none
from app.runs.events import ApprovalRequired
from app.tools.tool import Risk

PATH = "/approvals"


class ApprovalLinks(Struct, frozen=True, rename={"self_": "self"}):
    """Paths below the service's address."""

    self_: str


class PendingApproval(Struct, frozen=True):
    """A tool call that waits for a person's decision."""

    approval_id: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    """Exactly those that the tool is called with, but for secrets."""
    risk: Risk
    reason: str
    """Why a person is asked: `risk`, `rule`, `tainted` or `unknown_outcome`."""
    detail: str
    """The same for people."""
    expires_at: datetime
    links: ApprovalLinks


class ApprovalShown(Struct, frozen=True):
    """A tool call of a run, and what a person has decided on it."""

    approval_id: str
    status: ApprovalStatus
    """`pending`: it can be decided on; `approved`, `denied`; `consumed`: the approved call was made; `expired`: nobody
    decided in time; `withdrawn`: its run is over."""
    run_id: str
    agent: str
    requested_by: str
    """The user whose run it is."""
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    """Exactly those that the tool is called with, but for secrets."""
    risk: Risk
    reason: str
    """Why a person is asked: `risk`, `rule`, `tainted` or `unknown_outcome`."""
    detail: str
    """The same for people."""
    requester_may_decide: bool
    binding: str
    """SHA-256 of what a decision is for: run, call, the tool's definition, arguments, policy and expiry."""
    policy: str
    created_at: datetime
    expires_at: datetime
    decided_by: str | None
    decided_at: datetime | None
    comment: str | None
    """The decision's `reason`."""
    links: ApprovalLinks


def pending(asked: ApprovalRequired | Approval) -> PendingApproval:
    """As it is told of, or kept."""
    return PendingApproval(
        asked.approval_id,
        asked.call_id,
        asked.tool,
        asked.arguments,
        asked.risk,
        asked.reason,
        asked.detail,
        moment(asked.expires_at),
        _links_of(asked.approval_id),
    )


def shown(approval: Approval) -> ApprovalShown:
    return ApprovalShown(
        approval_id=approval.approval_id,
        status=approval.status,
        run_id=approval.run_id,
        agent=approval.agent,
        requested_by=approval.requester.user,
        call_id=approval.call_id,
        tool=approval.tool,
        arguments=approval.arguments,
        risk=approval.risk,
        reason=approval.reason,
        detail=approval.detail,
        requester_may_decide=approval.requester_may_decide,
        binding=approval.binding,
        policy=approval.policy,
        created_at=moment(approval.created_at),
        expires_at=moment(approval.expires_at),
        decided_by=approval.decided_by or None,
        decided_at=moment_or_none(approval.decided_at),
        comment=approval.comment or None,
        links=_links_of(approval.approval_id),
    )


def _links_of(approval_id: str) -> ApprovalLinks:
    return ApprovalLinks(f"{PATH}/{approval_id}")
