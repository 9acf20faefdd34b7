"""Which tokens are taken: what the `JWT_` settings say."""

from app.access.jwks import Jwks
from app.access.jwt import Claims, Tokens
from app.access.jwt_keys import OneKey, check_algorithms, public_key, secret_key
from app.errors import ConfigurationError
from app.settings import Settings


def tokens_of(settings: Settings) -> Tokens:
    """Raises ConfigurationError for settings that contradict each other or miss one."""
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
    return Jwks(
        str(settings.jwt_jwks_url),
        algorithms,
        allow_http=settings.jwt_jwks_allow_http,
        tls_strict=settings.tls_strict,
    )
