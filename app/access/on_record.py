"""Entries of the audit record about what a caller did."""

from typing import Any

from app.access.names import anonymous
from app.access.principal import Principal
from app.audit.entry import Action, Decision, Entry

_UNKNOWN = "unknown"


def entry_of(principal: Principal, action: Action, decision: Decision, **fields: Any) -> Entry:
    """With who it was: the name and team of the credentials; without any the address, for the name may be made up."""
    if principal.authenticated:
        return Entry(action, decision, user=principal.user, team=principal.team or "", **fields)
    return Entry(action, decision, user=anonymous(), address=principal.address or _UNKNOWN, **fields)
