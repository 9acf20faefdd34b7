"""JSON Web Tokens: verified once, remembered until they expire."""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Literal

import jwt

from app.access.jwt_keys import TokenKey, TokenKeys
from app.access.names import name_of, subject
from app.access.principal import DEFAULT_TIER, SCOPE, Credential, Principal
from app.errors import Unauthorized
from app.telemetry.logs import log

LEEWAY_SECONDS = 30
"""How far clocks may be apart."""

REMEMBERED = 10_000
_TIMES = ("exp", "nbf", "iat")
_REQUIRED = ["exp", "iss", "aud", "sub"]
_IS_SCOPE = re.compile(SCOPE).fullmatch

# What PyJWT raises for a token that is no good, and what broken claims make Python raise within it.
_REFUSED = (jwt.PyJWTError, ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError)


@dataclass(frozen=True, slots=True)
class Claims:
    """What tokens must say, and where they say the rest."""

    issuer: str
    audience: str
    scope: str = "scope"
    team: str = "team"
    tier: str = "tier"


class Verified(Credential):
    """A token that was good. What it began may end after it expires, which is minutes later as a rule; the key that it
    was verified with counts until then."""

    __slots__ = ("_key", "_keys")

    def __init__(self, keys: TokenKeys, key: TokenKey) -> None:
        self._keys = keys
        self._key = key

    def withdrawn(self) -> Literal["revoked", "expired"] | None:
        return None if self._keys.holds(self._key) else "revoked"


class Tokens:
    """Verifies tokens. A token that was good stays good until it expires or a key is taken away."""

    def __init__(self, algorithms: Sequence[str], keys: TokenKeys, claims: Claims) -> None:
        self.keys = keys
        self._algorithms = algorithms
        self._claims = claims
        self.verified: OrderedDict[bytes, tuple[float, Principal]] = OrderedDict()
        self._version = keys.version

    async def verify(self, token: str) -> Principal:
        """On whose behalf the token speaks. Raises Unauthorized, or IdentityUnavailable while there are no keys."""
        if self.keys.version != self._version:
            self.verified.clear()
            self._version = self.keys.version
        digest = sha256(token.encode()).digest()
        known = self.verified.get(digest)
        if known is not None:
            if time.time() >= known[0]:
                del self.verified[digest]
                raise Unauthorized("expired")
            self.verified.move_to_end(digest)
            return known[1]
        try:
            until, principal = await self._check(token)
        except jwt.ExpiredSignatureError:
            raise Unauthorized("expired") from None
        except _REFUSED as error:
            log.info("auth.refused", reason=type(error).__name__)
            raise Unauthorized("invalid") from None
        self.verified[digest] = until, principal
        if len(self.verified) > REMEMBERED:
            self.verified.popitem(last=False)
        return principal

    async def _check(self, token: str) -> tuple[float, Principal]:
        header = jwt.get_unverified_header(token)
        if header.get("alg") not in self._algorithms:
            raise jwt.InvalidAlgorithmError
        key = await self.keys.find(header.get("kid"))
        if key is None:
            raise jwt.InvalidKeyError
        claims = jwt.decode(
            token,
            key.key,
            algorithms=key.algorithms,
            audience=self._claims.audience,
            issuer=self._claims.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": _REQUIRED, "enforce_minimum_key_length": True},
        )
        _check_times(claims)
        return int(claims["exp"]) + LEEWAY_SECONDS, self._principal(claims, Verified(self.keys, key))

    def _principal(self, claims: Mapping[str, Any], credential: Credential) -> Principal:
        names = self._claims
        team, tier = claims.get(names.team), claims.get(names.tier)
        return Principal(
            user=subject(claims["sub"]),
            team=None if team is None else name_of(team),
            tier=DEFAULT_TIER if tier is None else name_of(tier),
            scopes=_scopes(claims.get(names.scope, "")),
            authenticated=True,
            credential=credential,
        )


def _check_times(claims: Mapping[str, Any]) -> None:
    """Raises ValueError for a time that is no number (RFC 7519, section 2); PyJWT also takes digits in a text."""
    for name in _TIMES:
        if name in claims and (isinstance(claims[name], bool) or not isinstance(claims[name], int | float)):
            raise ValueError("times are numbers")


def _scopes(claim: Any) -> frozenset[str]:
    """Scopes of a text, apart by spaces and nothing else (RFC 6749, section 3.3), or of a list; those of other
    services are left out."""
    words = claim.split(" ") if isinstance(claim, str) else claim
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError("scopes are text or a list of texts")
    return frozenset(word for word in words if _IS_SCOPE(word))
