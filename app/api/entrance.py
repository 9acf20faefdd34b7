"""Lets requests in by where they come from, and counts those that were refused, before and after the routes."""

from starlette.types import Scope

from app.access.proxies import Origin, Proxies
from app.api.refused_callers import RefusedCallers
from app.errors import RateLimited, Unauthorized
from app.limits.gate import Gate

_ORIGIN = "agent_api.origin"
_ENTERED = "agent_api.entered"
_USER = "agent_api.user"
RECEIVED = "agent_api.received"
"""Bytes of a body that came without its length."""

_UNREAD = frozenset({401, 403, 405, 411, 413, 414, 415, 431})
_READ = frozenset({400, 408, 422})
_WEIGHS = 8192  # bytes of a refused body that count as much as a request


class Entrance:
    """Callers without credentials are counted by their address, others by their name as soon as it is known.

    So nobody is kept out by what strangers behind the same proxy do, if they can show who they are.
    """

    def __init__(self, gate: Gate, proxies: Proxies, *, anonymous: bool, refused: RefusedCallers | None = None) -> None:
        """`anonymous`: nobody has credentials."""
        self._refused = refused or RefusedCallers()
        self._gate = gate
        self._proxies = proxies
        self._anonymous = anonymous

    def origin_of(self, scope: Scope) -> Origin:
        origin: Origin | None = scope.get(_ORIGIN)
        if origin is None:
            origin = scope[_ORIGIN] = self._proxies.origin_of(scope)
        return origin

    def enter(self, scope: Scope) -> None:
        """Count every request before anything of it is looked at. Raises RateLimited."""
        if self._anonymous:
            address, peer = self.origin_of(scope)
            try:
                self._gate.check_refused(address, peer)
                if self._gate.counts:
                    self._gate.enter(address, peer)
                    scope[_ENTERED] = True
            except RateLimited as error:
                self._refused.limited(error, address=address)
                raise

    def check_stranger(self, scope: Scope, refused: Unauthorized) -> None:
        """Check the address of a caller whose credentials are refused. Raises RateLimited."""
        address, peer = self.origin_of(scope)
        try:
            self._gate.check_refused(address, peer)
        except RateLimited as error:
            self._refused.limited(error, address=address)
            raise
        self._refused.unknown(refused, address)

    def check_user(self, scope: Scope, user: str) -> None:
        """Check an authenticated caller. Raises RateLimited."""
        scope[_USER] = f"user:{user}"
        try:
            self._gate.check_refused(scope[_USER])
        except RateLimited as error:
            self._refused.limited(error, user=user)
            raise

    def leave(self, scope: Scope, status: int) -> None:
        """End a request that was entered; `status` is that of its answer."""
        if _ENTERED in scope:
            self._gate.leave(*self.origin_of(scope))
        if status in _READ or status in _UNREAD:
            name, peer = (scope[_USER], "") if _USER in scope else self.origin_of(scope)
            self._gate.refused(name, peer, 1 + (_size(scope) // _WEIGHS if status in _READ else 0))


def _size(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    received: int = scope.get(RECEIVED, 0)
    return received
