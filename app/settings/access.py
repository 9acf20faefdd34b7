"""Settings of authentication."""

from pathlib import Path

from pydantic import BaseModel, Field, SecretStr

from app.settings.kinds import List, Ways, Word


class AccessSettings(BaseModel):
    auth: Ways = Field(
        ("none",),
        description="Who may call: holders of an `api-key`, of a `jwt`, or of either (`api-key,jwt`); "
        "`none` lets everyone in, and takes their word for who they are",
    )
    api_keys_file: Path | None = Field(
        None, description="API keys by their hashes, one JSON object a line; read anew when it changes"
    )
    jwt_issuer: Word | None = Field(None, description="What a token's `iss` must be")
    jwt_audience: Word | None = Field(None, description="What a token's `aud` must have")
    jwt_algorithms: List = Field(
        ("RS256",),
        description="Signatures taken, comma-separated, of one kind: HS256, HS384, HS512 with a secret, or RS…, PS…, "
        "ES… and EdDSA with public keys",
    )
    jwt_secret: SecretStr | None = Field(
        None, description="Secret of HMAC signatures, of at least 32 bytes; read at the start alone"
    )
    jwt_public_key: str | None = Field(
        None,
        description="Public key of signatures: PEM, or the path of a PEM file, which is read anew when it changes",
    )
    jwt_jwks_url: str | None = Field(None, description="Where the issuer publishes its public keys, `https://`")
    jwt_jwks_allow_http: bool = Field(False, description="Take public keys over plain http from other hosts too")
    jwt_scope_claim: Word = Field("scope", description="The claim with the scopes, a text with spaces or a list")
    jwt_team_claim: Word = Field("team", description="The claim with the team")
    jwt_tier_claim: Word = Field("tier", description="The claim with the tier")
    trusted_proxies: List = Field(
        (),
        description="Addresses (`10.1.2.3`) or networks of the proxies whose X-Forwarded-For and "
        "traceparent are believed, comma-separated; without it a caller's address is that of the connection",
    )
