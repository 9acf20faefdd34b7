"""API keys: random secrets that callers hold, and a file that knows them by their hash only.

The file has one JSON object a line (see `KeyLine`); empty lines and lines that begin with `#` are passed over. It is
read anew when it changes, as a mounted Secret does.
"""

import asyncio
import hmac
import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from app.errors import ConfigurationError, Unauthorized
from app.limits.principal import DEFAULT_TIER, SCOPE, Principal
from app.telemetry.logs import log

PREFIX = "agentapi_"
"""What every key begins with: tells keys from tokens, and lets scanners for leaked secrets find them."""

CHECK_SECONDS = 2.0
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


@dataclass(frozen=True, slots=True)
class _Key:
    digest: bytes
    principal: Principal
    expires: float  # seconds since the epoch


_decode = msgspec.json.Decoder(KeyLine).decode


def new_secret() -> str:
    """A key of 256 random bits."""
    return PREFIX + secrets.token_urlsafe(_ENTROPY_BYTES)


def fingerprint(secret: str) -> str:
    """What the file knows a key by. A plain hash is enough: nobody can guess 256 random bits."""
    return sha256(secret.encode()).hexdigest()


def parse(content: bytes) -> Mapping[bytes, _Key]:
    """The keys of a file by their digests. Raises ValueError with the line's number, never with what is in it."""
    keys: dict[bytes, _Key] = {}
    for number, raw in enumerate(content.split(b"\n"), 1):
        line = raw.strip()
        if not line or line.startswith(b"#"):
            continue
        try:
            entry = _decode(line)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"line {number}: {_without_input(error)}") from None
        digest = bytes.fromhex(entry.sha256)
        if digest in keys:
            raise ValueError(f"line {number}: repeats the key of an earlier line")
        principal = Principal(entry.user, entry.team, entry.tier, frozenset(entry.scopes), authenticated=True)
        keys[digest] = _Key(digest, principal, entry.expires.timestamp() if entry.expires else float("inf"))
    return keys


def _without_input(error: Exception) -> str:
    if isinstance(error, msgspec.ValidationError) and "unknown field" not in str(error):
        return str(error)
    return "has a field that keys do not have" if isinstance(error, msgspec.ValidationError) else "is not JSON"


class KeyFile:
    """The keys of a file, kept up to date by `watch`."""

    def __init__(self, path: Path) -> None:
        """Raises ConfigurationError if the file cannot be read, or not understood."""
        self._path = path
        self._seen = _signature(path)
        try:
            self._keys = parse(_read(path))
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"API_KEYS_FILE: {path}: {_reason(error)}") from None
        log.info("api_keys.loaded", keys=len(self._keys))

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

    async def watch(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Read the file anew if it has changed. One that is broken or gone leaves the keys as they are."""
        signature = _signature(self._path)
        if signature == self._seen:
            return
        self._seen = signature
        try:
            self._keys = parse(_read(self._path))
        except (OSError, ValueError) as error:
            log.error("api_keys.refused", error=_reason(error), keys=len(self._keys))  # noqa: TRY400 - says it all
        else:
            log.info("api_keys.loaded", keys=len(self._keys))


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 - Path.stat is this, slower
    except OSError:
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise ValueError(f"has more than {_MAX_FILE_BYTES} bytes")
    return content


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
