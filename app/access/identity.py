"""Which credentials are taken: what `AUTH` selects."""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from app.access.api_keys import PREFIX, KeyFile
from app.access.principal import Credential, Principal
from app.audit.audit import NO_AUDIT, Audit
from app.errors import ConfigurationError, Unauthorized
from app.settings import Settings
from app.telemetry.logs import log

if TYPE_CHECKING:
    from app.access.jwt import Tokens

LOOK_SECONDS = 1.0
"""How often what is going on is compared with the credentials that still hold."""


class Identity:
    """Who a credential belongs to. Built once a process; `watch` keeps its keys up to date.

    Without keys and tokens there are no credentials, and everyone may call.
    """

    def __init__(self, keys: KeyFile | None, tokens: "Tokens | None") -> None:
        self._keys = keys
        self._tokens = tokens
        self._on_look: list[Callable[[], None]] = []
        self.everyone = keys is None and tokens is None

    async def of(self, credential: str) -> Principal:
        """Raises Unauthorized, or IdentityUnavailable while tokens cannot be verified."""
        if credential.startswith(PREFIX):
            if self._keys is not None:
                return self._keys.find(credential)
        elif self._tokens is not None:
            return await self._tokens.verify(credential)
        raise Unauthorized("invalid")

    def shown(self, fingerprint: str, user: str, scopes: frozenset[str]) -> Credential:
        """What this user has shown elsewhere, for these scopes: an API key, or without a fingerprint something that
        held then. Raises Unauthorized where keys are not taken any more."""
        if not fingerprint:
            return Credential()
        if self._keys is None:
            raise Unauthorized("revoked")
        return self._keys.shown(fingerprint, user, scopes)

    async def watch(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as watching:
            if self._keys is not None:
                watching.create_task(self._keys.watch())
            if self._tokens is not None:
                watching.create_task(self._tokens.keys.watch())
            if not self.everyone:
                watching.create_task(self._look())

    def on_look(self, look: Callable[[], None]) -> None:
        """Have `look` called every LOOK_SECONDS, to end what nobody may do any more."""
        self._on_look.append(look)

    async def _look(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            for look in self._on_look:
                look()


def build_identity(settings: Settings, audit: Audit = NO_AUDIT) -> Identity:
    """Raises ConfigurationError for settings that contradict each other or miss one."""
    _warn_of_unused(settings)
    if settings.auth == ("none",):
        log.warning("auth.none", detail="AUTH=none: everyone who reaches this service may use it")
        return Identity(None, None)
    keys = tokens = None
    if "api-key" in settings.auth:
        if settings.api_keys_file is None:
            raise ConfigurationError(
                "API_KEYS_FILE: AUTH has api-key, which needs a file; make a key: python -m app keys new --user NAME"
            )
        keys = KeyFile(settings.api_keys_file, audit)
    if "jwt" in settings.auth:
        from app.access.jwt_settings import tokens_of  # cryptography is 10 MB that only tokens are worth

        tokens = tokens_of(settings)
    return Identity(keys, tokens)


def _warn_of_unused(settings: Settings) -> None:
    """Of credentials that were set up and are not asked for."""
    sources = {
        "api-key": ("api_keys_file",),
        "jwt": ("jwt_issuer", "jwt_audience", "jwt_secret", "jwt_public_key", "jwt_jwks_url"),
    }
    unused = [
        name.upper()
        for way, names in sources.items()
        for name in names
        if way not in settings.auth and getattr(settings, name)
    ]
    if unused:
        log.warning("auth.unused", settings=unused, detail=f"AUTH={','.join(settings.auth)} does not ask for them")
