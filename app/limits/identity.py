"""Which credentials are taken: what `AUTH` selects."""

import asyncio

import structlog

from app.errors import ConfigurationError, Unauthorized
from app.limits.api_keys import PREFIX, KeyFile
from app.limits.jwks import Jwks
from app.limits.principal import Principal
from app.limits.token_keys import OneKey, check_algorithms, public_key, secret_key
from app.limits.tokens import Claims, Tokens
from app.settings import Settings

log = structlog.get_logger()


class Identity:
    """Who a credential belongs to. Built once a process; `watch` keeps its keys up to date.

    Without keys and tokens there are no credentials, and everyone may call.
    """

    def __init__(self, keys: KeyFile | None, tokens: Tokens | None) -> None:
        self._keys = keys
        self._tokens = tokens
        self.everyone = keys is None and tokens is None

    async def of(self, credential: str) -> Principal:
        """Raises Unauthorized, or IdentityUnavailable while tokens cannot be verified."""
        if credential.startswith(PREFIX):
            if self._keys is not None:
                return self._keys.find(credential)
        elif self._tokens is not None:
            return await self._tokens.verify(credential)
        raise Unauthorized("invalid")

    async def watch(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as watching:
            if self._keys is not None:
                watching.create_task(self._keys.watch())
            if self._tokens is not None:
                watching.create_task(self._tokens.keys.watch())


def build_identity(settings: Settings) -> Identity:
    """Raises ConfigurationError for settings that contradict each other or miss one."""
    if settings.auth == ("none",):
        log.warning("auth.none", detail="AUTH=none: everyone who reaches this service may use it")
        return Identity(None, None)
    keys = tokens = None
    if "api-key" in settings.auth:
        if settings.api_keys_file is None:
            raise ConfigurationError(
                "API_KEYS_FILE: AUTH has api-key, which needs a file; make a key: python -m app keys new --user NAME"
            )
        keys = KeyFile(settings.api_keys_file)
    if "jwt" in settings.auth:
        tokens = _tokens(settings)
    return Identity(keys, tokens)


def _tokens(settings: Settings) -> Tokens:
    if not settings.jwt_issuer or not settings.jwt_audience:
        missing = "JWT_AUDIENCE" if settings.jwt_issuer else "JWT_ISSUER"
        raise ConfigurationError(f"{missing}: AUTH has jwt, which needs it")
    algorithms = check_algorithms(settings.jwt_algorithms)
    claims = Claims(
        settings.jwt_issuer,
        settings.jwt_audience,
        scope=settings.jwt_scope_claim,
        team=settings.jwt_team_claim,
        tier=settings.jwt_tier_claim,
    )
    return Tokens(algorithms, _keys(settings, algorithms), claims)


def _keys(settings: Settings, algorithms: tuple[str, ...]) -> OneKey | Jwks:
    secret = settings.jwt_secret.get_secret_value() if settings.jwt_secret else ""
    sources = [secret, settings.jwt_public_key, settings.jwt_jwks_url]
    if sum(bool(source) for source in sources) != 1:
        raise ConfigurationError(
            "JWT_SECRET, JWT_PUBLIC_KEY, JWT_JWKS_URL: AUTH has jwt, which needs exactly one of them"
        )
    if secret:
        return secret_key(secret, algorithms)
    if settings.jwt_public_key:
        return public_key(settings.jwt_public_key, algorithms)
    if algorithms[0].startswith("HS"):
        raise ConfigurationError("JWT_ALGORITHMS: a key set (JWT_JWKS_URL) is for public-key algorithms")
    return Jwks(str(settings.jwt_jwks_url), algorithms, allow_http=settings.jwt_jwks_allow_http)
