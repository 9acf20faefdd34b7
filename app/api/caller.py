"""The caller of a request, from its credentials or its address."""

from collections.abc import Iterable

from fastapi import Request
from msgspec.structs import replace
from starlette.types import Scope

from app.access.identity import Identity
from app.access.names import anonymous, is_name_of
from app.access.principal import ANONYMOUS_TIER, ANY_TOOL, Principal
from app.api.authentication import is_open
from app.api.entrance import Entrance
from app.api.refused_callers import RefusedCallers
from app.errors import Forbidden, TooManyBatches, TooManyRuns, Unauthorized

ANONYMOUS = anonymous()
ANYONE = frozenset({"chat", "runs", "approvals", ANY_TOOL})
"""Scopes of everyone where nobody is authenticated: all but `admin`."""

MAX_CREDENTIAL_BYTES = 8192
_PRINCIPAL = "agent_api.principal"


class Callers:
    """Tells on whose behalf a request comes, before it is routed and before a byte of its body is read."""

    def __init__(self, identity: Identity, entrance: Entrance, refused: RefusedCallers) -> None:
        self._identity = identity
        self._entrance = entrance
        self._refused = refused

    async def authenticate(self, scope: Scope) -> None:
        """Raises Unauthorized, IdentityUnavailable, or RateLimited for those who send too much that is refused. What it
        finds is for `principal_of`."""
        if is_open(scope):
            return
        if self._identity.everyone:
            address, peer = self._entrance.origin_of(scope)
            scope[_PRINCIPAL] = Principal(ANONYMOUS, tier=ANONYMOUS_TIER, scopes=ANYONE, address=address, peer=peer)
            return
        try:
            principal = await self._identity.of(_bearer(scope["headers"]))
        except Unauthorized as error:
            self._entrance.check_stranger(scope, error)
            raise
        scope[_PRINCIPAL] = principal
        self._entrance.check_user(scope, principal.user)

    def refused(self, scope: Scope, error: Exception) -> None:
        """Put on record that a request asked for what its caller may not do, or for more than they may have."""
        match error, scope.get(_PRINCIPAL):
            case Forbidden(), Principal() as principal:
                self._refused.forbidden(error, principal, scope)
            case TooManyRuns() | TooManyBatches(), Principal() as principal:
                self._refused.too_many(error, principal)


def principal_of(request: Request, user_id: str | None = None) -> Principal:
    """The request's caller. `user_id`, the name that the request gives, counts where nobody is authenticated.

    Raises Forbidden if an authenticated caller gives another name than their own.
    """
    principal: Principal = request.scope[_PRINCIPAL]
    if user_id is None:
        return principal
    if not principal.authenticated:
        return replace(principal, user=anonymous(user_id))
    if not is_name_of(principal.user, user_id):
        raise Forbidden("The user_id is not that of the credentials. It can be left out.")
    return principal


def caller_with(request: Request, scope: str, user_id: str | None = None) -> Principal:
    """As `principal_of`. Raises Forbidden as well if the caller lacks the scope."""
    principal = principal_of(request, user_id)
    principal.require(scope)
    return principal


def _bearer(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The one credential of a request. Raises Unauthorized."""
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Unauthorized("missing")
    scheme, _, credential = given[0].partition(b" ")
    sane = len(given) == 1 and len(credential) <= MAX_CREDENTIAL_BYTES and credential.isascii()
    if not sane or scheme.lower() != b"bearer":
        raise Unauthorized("invalid")
    return credential.strip().decode("ascii")
