"""Someone who issues tokens: keys, good and forged tokens, and a server that publishes keys."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from collections.abc import Mapping
from typing import Any, Self

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

ISSUER = "https://issuer.example"
AUDIENCE = "agent-api"
SECRET = "a secret of at least 32 bytes, shared by issuer and service"

RSA = rsa.generate_private_key(65537, 2048)
OTHER_RSA = rsa.generate_private_key(65537, 2048)
EC = ec.generate_private_key(ec.SECP256R1())
ED = ed25519.Ed25519PrivateKey.generate()

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


def pem(key: PrivateKey) -> str:
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()


def private_pem(key: PrivateKey) -> str:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; a change to None takes a claim away."""
    now = int(time.time())
    all_of_them = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ada",
        "iat": now,
        "exp": now + 600,
        "scope": "chat tools:*",
        **changes,
    }
    return {name: value for name, value in all_of_them.items() if value is not None}


def hmac_token(says: Mapping[str, Any] | None = None, *, algorithm: str = "HS256", secret: str = SECRET) -> str:
    return jwt.encode(dict(says or claims()), secret, algorithm)


def token(
    says: Mapping[str, Any] | None = None, *, key: PrivateKey = RSA, algorithm: str = "RS256", kid: Any = None
) -> str:
    return jwt.encode(dict(says or claims()), key, algorithm, headers=None if kid is None else {"kid": kid})


def forged(header: Mapping[str, Any] | bytes, says: Mapping[str, Any] | bytes, hmac_key: bytes | None = None) -> str:
    """A token as an attacker writes it: any header, signed with any bytes or not at all."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, says)]
    signed = b".".join(_base64url(part) for part in parts)
    signature = b"" if hmac_key is None else hmac.new(hmac_key, signed, hashlib.sha256).digest()
    return (signed + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def jwk(key: PrivateKey, kid: str | None = None, **members: Any) -> dict[str, Any]:
    match key:
        case rsa.RSAPrivateKey():
            public: dict[str, Any] = dict(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key(), as_dict=True))
        case ec.EllipticCurvePrivateKey():
            public = dict(jwt.algorithms.ECAlgorithm.to_jwk(key.public_key(), as_dict=True))
        case _:
            public = dict(jwt.algorithms.OKPAlgorithm.to_jwk(key.public_key(), as_dict=True))
    return {**public, **({} if kid is None else {"kid": kid}), **members}


def key_set(*keys: Mapping[str, Any]) -> bytes:
    return json.dumps({"keys": keys}).encode()


class KeyServer:
    """Publishes `body` with `status` on 127.0.0.1, after `delay` seconds, and counts how often it is asked."""

    def __init__(self, body: bytes = b"") -> None:
        self.body = body
        self.status = 200
        self.headers: dict[str, str] = {}
        self.delay = 0.0
        self.asked = 0
        self.url = ""

    async def _answer(self, _: web.Request) -> web.Response:
        self.asked += 1
        await asyncio.sleep(self.delay)
        return web.Response(status=self.status, body=self.body, headers=self.headers)

    async def asked_times(self, least: int) -> None:
        async with asyncio.timeout(5):
            while self.asked < least:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/keys", self._answer)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/keys"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        await self._runner.cleanup()
