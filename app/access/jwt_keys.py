"""What tokens are verified with: which algorithms, and which keys fit them. Nothing here believes a token's header."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import jwt
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from app.errors import ConfigurationError
from app.reloading import Reloading, read_bounded
from app.telemetry.logs import log

HMAC = frozenset({"HS256", "HS384", "HS512"})
PUBLIC_KEY = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)  # what RFC 7518 and RFC 8037 have, but for `none`

_MAX_PEM_BYTES = 65_536


@dataclass(frozen=True, slots=True)
class TokenKey:
    """A key with the algorithms it may be used with."""

    key: Any = field(repr=False)  # bytes for HMAC, else a public key of `cryptography`
    algorithms: tuple[str, ...]


class TokenKeys(Protocol):
    """Where the key of a token comes from."""

    version: int
    """Goes up when a key is taken away; what was verified before then may no longer hold."""

    async def find(self, kid: str | None) -> TokenKey | None:
        """The key that a token's header names. Raises IdentityUnavailable while no key is known at all."""

    def holds(self, key: TokenKey) -> bool:
        """Whether tokens may still be verified with it."""

    async def watch(self) -> None:
        """Keep the keys up to date until cancelled."""


@dataclass(slots=True)
class OneKey:
    """One key for every token, whatever its header names."""

    key: TokenKey
    version: int = 0

    async def find(self, kid: str | None) -> TokenKey | None:
        return self.key

    def holds(self, key: TokenKey) -> bool:
        return bool(key.key == self.key.key)

    async def watch(self) -> None:
        return


def check_algorithms(algorithms: Sequence[str]) -> tuple[str, ...]:
    """The algorithms as they are. Raises ConfigurationError unless they are known, and all of one kind."""
    unknown = [name for name in algorithms if name not in HMAC | PUBLIC_KEY]
    if unknown or not algorithms:
        known = ", ".join(sorted(HMAC | PUBLIC_KEY))
        raise ConfigurationError(f"JWT_ALGORITHMS: {', '.join(unknown) or 'none'} cannot be used; known: {known}")
    if 0 < len(HMAC.intersection(algorithms)) < len(set(algorithms)):
        raise ConfigurationError(
            "JWT_ALGORITHMS: mixes HMAC and public-key algorithms; a public key could then pass for a secret"
        )
    return tuple(dict.fromkeys(algorithms))


def secret_key(secret: str, algorithms: Sequence[str]) -> OneKey:
    """Raises ConfigurationError if the secret is too short for an algorithm, or is none."""
    key = secret.encode("utf-8", "surrogateescape")
    if fault := next((fault for name in algorithms if (fault := _fault(name, key))), None):
        raise ConfigurationError(f"JWT_SECRET: {fault}")
    return OneKey(TokenKey(key, tuple(algorithms)))


class KeyFile(OneKey):
    """The key in a PEM file, read anew when it changes. One that cannot be used leaves the key as it is."""

    def __init__(self, path: Path, algorithms: Sequence[str]) -> None:
        """Raises ConfigurationError, which does not repeat the path: it may be a key that is no PEM."""
        self._path = path
        self._algorithms = algorithms
        try:
            super().__init__(self._read())
        except OSError as error:
            raise ConfigurationError(
                f"JWT_PUBLIC_KEY: is not PEM, and no PEM file can be read there ({type(error).__name__})"
            ) from None
        except ValueError as error:
            raise ConfigurationError(f"JWT_PUBLIC_KEY: {error}") from None
        self._file = Reloading("JWT_PUBLIC_KEY", path, self._load, _refused)

    async def watch(self) -> None:
        await self._file.watch()

    def refresh(self) -> None:
        """Read the file anew if it has changed."""
        self._file.refresh()

    def _read(self) -> TokenKey:
        return token_key(read_bounded(self._path, _MAX_PEM_BYTES).decode("ascii"), self._algorithms)

    def _load(self) -> None:
        key = self._read()
        if not self.holds(key):
            self.key = key
            self.version += 1
            log.info("jwt_key.loaded")


def _refused(reason: str) -> None:
    log.error("jwt_key.refused", error=reason)


def public_key(pem: str, algorithms: Sequence[str]) -> OneKey:
    """The key in `pem`, which is PEM or the path of a PEM file. Raises ConfigurationError."""
    text = pem.replace("\\n", "\n")
    if "-----BEGIN" in text:
        try:
            return OneKey(token_key(text, algorithms))
        except ValueError as error:
            raise ConfigurationError(f"JWT_PUBLIC_KEY: {error}") from None
    return KeyFile(Path(pem.strip()), algorithms)


def token_key(text: str, algorithms: Sequence[str]) -> TokenKey:
    """Raises ValueError for a text that is no public key in PEM for all of the algorithms."""
    if "PRIVATE KEY" in text:
        raise ValueError("holds a private key; whoever verifies needs the public one only")
    try:
        key = load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("is not a public key in PEM") from None
    if fault := next((fault for name in algorithms if (fault := _fault(name, key))), None):
        raise ValueError(fault)
    return TokenKey(key, tuple(algorithms))


def from_jwk(jwk: Any, algorithms: Sequence[str]) -> TokenKey | None:
    """The key if it is a public one for signatures by one of `algorithms`, else None, whatever is published there."""
    if not isinstance(jwk, dict) or jwk.get("kty") == "oct" or "d" in jwk or jwk.get("use", "sig") != "sig":
        return None
    uses = jwk.get("key_ops", ["verify"])
    if not isinstance(uses, list) or "verify" not in uses:
        return None
    for name in algorithms:
        if jwk.get("alg", name) != name:
            continue
        try:
            key = jwt.get_algorithm_by_name(name).from_jwk(dict(jwk))
        except Exception:  # noqa: BLE001, S112 - of another kind, or broken in a way that nobody thought of
            continue
        usable = tuple(other for other in algorithms if jwk.get("alg", other) == other and not _fault(other, key))
        return TokenKey(key, usable) if usable else None
    return None


def _fault(algorithm: str, key: Any) -> str | None:
    """Why the key cannot be used with the algorithm."""
    implementation = jwt.get_algorithm_by_name(algorithm)
    try:
        return implementation.check_key_length(implementation.prepare_key(key))
    except (jwt.PyJWTError, TypeError, ValueError, AttributeError):
        return f"cannot be used with {algorithm}"
