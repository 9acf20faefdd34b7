"""Secrets that webhooks are signed with: files of WEBHOOK_SECRETS_DIR, which requests refer to by name."""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from standardwebhooks import Webhook

from app.durable.record import Caller
from app.reloading import Reloading, read_bounded
from app.telemetry.logs import log

PREFIX = "whsec_"
_MAX_FILE_BYTES = 4_096
_MAX_AT_ONCE = 5
_LENGTHS = range(24, 65)
"""Bytes, as Standard Webhooks has it."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}|(?:user|team)\.[A-Za-z0-9_-]{1,64}\.[A-Za-z0-9_-]{1,64}").fullmatch
_PATTERN = "NAME, user.USER.NAME or team.TEAM.NAME, of letters, digits, _ and -"


class Secrets:
    """The secrets by name, kept up to date by `watch`.

    `NAME` is for every caller; `user.USER.NAME` and `team.TEAM.NAME` are for that user or team only: who can have a
    message of their own signed by somebody's secret could send it to that somebody.
    """

    def __init__(self, folder: Path) -> None:
        """Raises ConfigurationError if there is a file that is no secret."""
        self._folder = folder
        self._signers: Mapping[str, tuple[Webhook, ...]] = {}
        files = Reloading("WEBHOOK_SECRETS_DIR", folder, self._load, self._refused)
        self.watch, self.refresh = files.watch, files.refresh
        if not self._signers:
            log.warning("webhook_secrets.none", detail="WEBHOOK_SECRETS_DIR has no secrets: no request can name one")

    def names_for(self, caller: Caller) -> Sequence[str]:
        """The secrets that a caller may have messages signed with."""
        return sorted(name for name in self._signers if _is_for(name, caller))

    def sign(self, name: str, message_id: str, timestamp: int, body: bytes) -> str | None:
        """The header `webhook-signature`: a signature by each secret of the file. None: there is no such file now."""
        signers = self._signers.get(name)
        if signers is None:
            return None
        at, text = datetime.fromtimestamp(timestamp, UTC), body.decode()
        return " ".join([signer.sign(message_id, at, text) for signer in signers])

    def _load(self) -> None:
        """Raises OSError, and ValueError, which names the file, for what is no secret."""
        if not self._folder.is_dir():
            raise ValueError("is not a folder")
        files = sorted(path for path in self._folder.iterdir() if path.is_file() and not path.name.startswith("."))
        signers = {path.name: _read(path) for path in files}
        if not signers and self._signers:
            raise ValueError(
                "has no secrets, which is taken for a mistake: those loaded before stay in use until a restart"
            )
        self._signers = signers
        if signers:
            log.info("webhook_secrets.loaded", secrets=len(signers))

    def _refused(self, reason: str) -> None:
        log.error("webhook_secrets.refused", error=reason, secrets=len(self._signers))


def _is_for(name: str, caller: Caller) -> bool:
    kind, _, rest = name.partition(".")
    if not rest:
        return True
    owner = rest.partition(".")[0]
    return caller.authenticated and owner == (caller.user if kind == "user" else caller.team)


def _read(path: Path) -> tuple[Webhook, ...]:
    """Raises OSError and ValueError."""
    if not _NAME(path.name):
        raise ValueError(f"the file {path.name[:100]!a} is not named as secrets are: {_PATTERN}")
    lines = read_bounded(path, _MAX_FILE_BYTES).split()
    if not 1 <= len(lines) <= _MAX_AT_ONCE:
        raise ValueError(f"{path.name}: must have 1 to {_MAX_AT_ONCE} secrets, one a line")
    return tuple([Webhook(_checked(path.name, line)) for line in lines])


def _checked(name: str, secret: bytes) -> bytes:
    """The key of a secret. Raises ValueError, which repeats nothing of it."""
    prefix = PREFIX.encode()
    text = secret.removeprefix(prefix).rstrip(b"=")  # some write it without
    try:
        key = base64.b64decode(text + b"=" * (-len(text) % 4), validate=True)
    except binascii.Error:
        key = b""
    if not secret.startswith(prefix) or len(key) not in _LENGTHS:
        raise ValueError(
            f"{name}: has a secret that is not `{PREFIX}` and the Base64 of 24 to 64 random bytes: make one by "
            f'`echo "{PREFIX}$(openssl rand -base64 32)"`'
        )
    return key
