"""An approval as it is kept: bound to one call of one run, exactly as it was asked about."""

from collections.abc import Mapping
from typing import Any, Literal

from msgspec import Struct

from app.durable.record import Caller
from app.tools.tool import Risk

ApprovalStatus = Literal["pending", "approved", "denied", "consumed", "expired", "withdrawn"]
"""`consumed`: the call was made; `withdrawn`: its run is over, for another reason."""

Decision = Literal["approve", "deny"]


class Approval(Struct, frozen=True):
    """Times are in seconds since the epoch, by the store's clock; 0: not yet."""

    approval_id: str
    run_id: str
    owner: str
    """Of the run."""
    requester: Caller
    agent: str
    tool: str
    call_id: str
    arguments: Mapping[str, Any]
    risk: Risk
    reason: str
    """`risk`, `rule`, `tainted` or `unknown_outcome`."""
    detail: str
    requester_may_decide: bool
    binding: str
    """SHA-256 of run, call, the tool's definition, the canonical JSON of the arguments, policy and expiry: a decision
    is for exactly that."""
    definition: str
    """SHA-256 of the tool's, as it was then."""
    policy: str
    """The version of what decides on calls."""
    created_at: float
    expires_at: float
    status: ApprovalStatus = "pending"
    decided_by: str = ""
    decided_at: float = 0.0
    comment: str = ""
    """Why, in the words of whoever decided."""


class ApprovalPage(Struct, frozen=True):
    """Newest first."""

    approvals: tuple[Approval, ...]
    next: str = ""
