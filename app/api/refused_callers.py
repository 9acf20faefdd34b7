"""Puts refusals of callers on record: credentials that are not taken, scopes that are missing."""

from starlette.types import Scope

from app.access.on_record import entry_of
from app.access.principal import Principal
from app.audit.audit import NO_AUDIT, Audit
from app.audit.entry import Action
from app.errors import Forbidden, RateLimited, TooManyBatches, TooManyRuns, Unauthorized

_TELL_THEMSELVES = frozenset({"/approvals/{approval_id}", "/api/tools/{name}"})
"""Routes that put on record what they refuse for other reasons than a scope, with what it is about."""
_ACTIONS: dict[str, Action] = {"admin": "admin", "approvals": "approval", "tools": "tool"}
"""By the scope that is missing, up to its colon."""


class RefusedCallers:
    """Is told of each request that is refused because of who sent it."""

    def __init__(self, audit: Audit = NO_AUDIT) -> None:
        self._audit = audit

    def limited(self, error: RateLimited, *, user: str = "", address: str = "") -> None:
        """By a limit of this process, for an address or a user."""
        principal = Principal(user, address=address, authenticated=bool(user))
        self._audit.note(entry_of(principal, "limit", "refused", on="requests", why=error.policy))

    def unknown(self, error: Unauthorized, address: str) -> None:
        """By the credentials, or for there are none."""
        self._audit.note(entry_of(Principal("", address=address), "authenticate", "refused", why=error.problem))

    def too_many(self, error: TooManyRuns | TooManyBatches, principal: Principal) -> None:
        """By the number of what the caller has going on."""
        self._audit.note(entry_of(principal, "limit", "refused", on=error.slug.removeprefix("too-many-"), why="count"))

    def forbidden(self, error: Forbidden, principal: Principal, scope: Scope) -> None:
        kind = error.missing_scope.partition(":")[0]
        route = getattr(scope.get("route"), "path", "")
        if not kind and route in _TELL_THEMSELVES:
            return
        action, why = _ACTIONS.get(kind, "authenticate"), f"scope:{kind}" if kind else "not_allowed"
        self._audit.note(entry_of(principal, action, "refused", on=route, why=why))
