"""API keys: random secrets that callers hold, and a file that knows them by their hash only.

The file has one JSON object a line (see `KeyLine`); empty lines and lines that begin with `#` are passed over. It is
read anew when it changes, as a mounted Secret does; what cannot be meant, such as no keys at all, changes nothing.
"""

import codecs
import hmac
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct

from app.access.principal import DEFAULT_TIER, SCOPE, Credential, Principal
from app.audit.audit import NO_AUDIT, Audit
from app.audit.entry import Entry
from app.errors import Unauthorized
from app.reloading import Reloading, read_bounded
from app.telemetry.logs import log

PREFIX = "agentapi_"
"""What every key begins with: tells keys from tokens, and lets scanners for leaked secrets find them."""

Withdrawn = Literal["revoked", "expired"] | None

_ENTROPY_BYTES = 32
_MAX_FILE_BYTES = 16 * 1024 * 1024

Name = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]


class KeyLine(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One key in the file."""

    sha256: Annotated[str, Meta(pattern=r"^[0-9a-f]{64}\Z")]
    name: Annotated[str, Meta(min_length=1, max_length=100)]
    """Whose or what for, for people."""
    user: Name
    scopes: tuple[Annotated[str, Meta(pattern=rf"^({SCOPE})\Z")], ...]
    team: Name | None = None
    tier: Name = DEFAULT_TIER
    expires: Annotated[datetime, Meta(tz=True)] | None = None


class Key(Credential):
    """A key as the file has it, or had it when a caller showed it."""

    __slots__ = ("_now", "digest", "expires", "principal")

    def __init__(self, entry: KeyLine, now: Callable[[bytes], "Key | None"]) -> None:
        """`now` tells what the file says about a digest when it is asked."""
        self._now = now
        self.digest = bytes.fromhex(entry.sha256)
        self.expires = entry.expires.timestamp() if entry.expires else float("inf")  # seconds since the epoch
        self.principal = Principal(
            entry.user, entry.team, entry.tier, frozenset(entry.scopes), authenticated=True, credential=self
        )

    @property
    def fingerprint(self) -> str:
        return self.digest.hex()

    def withdrawn(self) -> Withdrawn:
        shown = self.principal
        return _withdrawn(self._now(self.digest), shown.user, shown.scopes)


class ShownKey(Credential):
    """A key that a caller has shown to another process, or before this one began."""

    __slots__ = ("_now", "_scopes", "_user", "digest")

    def __init__(self, digest: bytes, user: str, scopes: frozenset[str], now: Callable[[bytes], Key | None]) -> None:
        self.digest = digest
        self._user, self._scopes, self._now = user, scopes, now

    @property
    def fingerprint(self) -> str:
        return self.digest.hex()

    def withdrawn(self) -> Withdrawn:
        return _withdrawn(self._now(self.digest), self._user, self._scopes)


def _withdrawn(now: Key | None, user: str, scopes: frozenset[str]) -> Withdrawn:
    """A key that is gone, expired, another user's or short of a scope. Another tier or team is for later runs."""
    if now is None or now.principal.user != user or not now.principal.scopes >= scopes:
        return "revoked"
    return "expired" if time.time() >= now.expires else None


_decode = msgspec.json.Decoder(KeyLine).decode


def new_secret() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES)


def fingerprint(secret: str) -> str:
    """What the file knows a key by. A plain hash is enough: nobody can guess 256 random bits."""
    return sha256(secret.encode()).hexdigest()


def parse(content: bytes, now: Callable[[bytes], Key | None] = lambda _: None) -> Mapping[bytes, Key]:
    """The keys of a file by their digests. Raises ValueError with the line's number, never with what is in it."""
    keys: dict[bytes, Key] = {}
    for number, raw in enumerate(content.removeprefix(codecs.BOM_UTF8).split(b"\n"), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            key = Key(_decode(line), now)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"line {number}: {_without_input(error)}") from None
        if key.digest in keys:
            raise ValueError(f"line {number}: repeats the key of an earlier line")
        keys[key.digest] = key
    return keys


def _without_input(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError) and "unknown field" not in str(error):
        return str(error)
    return "has a field that keys do not have" if isinstance(error, msgspec.ValidationError) else "is not JSON"


class KeyFile:
    """The keys of a file, kept up to date by `watch`."""

    def __init__(self, path: Path, audit: Audit = NO_AUDIT) -> None:
        """Raises ConfigurationError if the file cannot be read, or not understood."""
        self._audit = audit
        self._path = path
        self._keys: Mapping[bytes, Key] = {}
        self._file = Reloading("API_KEYS_FILE", path, self._load, self._refused)
        self.watch, self.refresh = self._file.watch, self._file.refresh
        if not self._keys:
            log.warning("api_keys.none", detail="API_KEYS_FILE has no keys: nobody can call with one")

    def find(self, secret: str) -> Principal:
        """Raises Unauthorized for a key that is not in the file, or is expired.

        The look-up is by digest, which a caller cannot steer towards one in the file; the comparison that decides
        takes the same time wherever two digests differ.
        """
        digest = sha256(secret.encode()).digest()
        key = self._keys.get(digest)
        if key is None or not hmac.compare_digest(key.digest, digest):
            raise Unauthorized("invalid")
        if time.time() >= key.expires:
            raise Unauthorized("expired")
        return key.principal

    def shown(self, fingerprint: str, user: str, scopes: frozenset[str]) -> Credential:
        """The key that this user has shown elsewhere, for these scopes; it may have been withdrawn since."""
        return ShownKey(bytes.fromhex(fingerprint), user, scopes, self._now)

    def _now(self, digest: bytes) -> Key | None:
        return self._keys.get(digest)

    def _load(self) -> None:
        """Raises OSError, and ValueError for what cannot be meant."""
        keys = parse(read_bounded(self._path, _MAX_FILE_BYTES), self._now)
        if not keys and self._keys:
            raise ValueError(
                "has no keys, which is taken for a mistake: those loaded before stay in use until a restart"
            )
        self._keys = keys
        if keys:
            log.info("api_keys.loaded", keys=len(keys))
            self._audit.note(Entry("admin", "allowed", on="api-keys", policy=_version(keys)))

    def _refused(self, reason: str) -> None:
        log.error("api_keys.refused", error=reason, keys=len(self._keys))
        self._audit.note(Entry("admin", "refused", on="api-keys", why="invalid"))


def _version(keys: Iterable[bytes]) -> str:
    """Tells whether two processes take the same keys."""
    return sha256(b"".join(sorted(keys))).hexdigest()[:16]
