"""The public keys of an issuer, as it publishes them (JWKS, RFC 7517): fetched, kept, and fetched anew."""

import asyncio
import ipaddress
from collections.abc import Mapping, Sequence
from time import monotonic
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

import aiohttp
import msgspec

from app.access.jwt_keys import TokenKey, from_jwk
from app.errors import ConfigurationError, IdentityUnavailable
from app.telemetry import metrics
from app.telemetry.logs import log
from app.tls import certificate_problem, client_context
from app.urls import check_proxy, http_url

REFRESH_SECONDS = 600.0
RETRY_SECONDS = 15.0
"""After a fetch that failed."""

REFETCH_SECONDS = 60.0
"""Least time between two fetches for the sake of keys that are not known: anybody can make up such."""

FETCH_SECONDS = 5.0
MAX_BYTES = 512 * 1024
MAX_KEYS = 100
_LEFT_OUT = "is no public key for JWT_ALGORITHMS, or has the id of another"

_decode = msgspec.json.Decoder().decode


class Jwks:
    """The keys behind a URL. Those that were fetched last stay in use while the issuer is away."""

    def __init__(
        self, url: str, algorithms: Sequence[str], *, allow_http: bool = False, tls_strict: bool = True
    ) -> None:
        """Raises ConfigurationError for an address that keys must not come from. Fetches nothing yet."""
        self._url = _checked(url, allow_http=allow_http)
        self._host = urlsplit(self._url).hostname or ""
        self._algorithms = algorithms
        self._tls = True if tls_strict else client_context(strict=False)
        self._keys: Mapping[str | None, TokenKey] = {}
        self._published: Any = None
        self._left_out: set[str] = set()
        self._fetching: asyncio.Task[bool] | None = None
        self._refetch_at = 0.0
        self.version = 0

    async def watch(self) -> None:
        while True:
            fetched = await self.refresh()
            await asyncio.sleep(REFRESH_SECONDS if fetched else RETRY_SECONDS)

    async def find(self, kid: str | None) -> TokenKey | None:
        key = self._keys.get(kid)
        if key is not None:
            return key
        if self._fetching is not None:
            await self.refresh()
        elif monotonic() >= self._refetch_at:
            self._refetch_at = monotonic() + (REFETCH_SECONDS if self._keys else RETRY_SECONDS)
            await self.refresh()
        if not self._keys:
            raise IdentityUnavailable("Tokens cannot be verified at the moment. Try again.", retry_after=RETRY_SECONDS)
        return self._keys.get(kid)

    def holds(self, key: TokenKey) -> bool:
        return any(held.key == key.key for held in self._keys.values())

    async def refresh(self) -> bool:
        """Fetch, or wait for the fetch that is going on; True if it worked. It goes on when its first caller leaves."""
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch_and_take())
            self._fetching.add_done_callback(self._fetched)
        return await asyncio.shield(self._fetching)

    def _fetched(self, _: asyncio.Task[bool]) -> None:
        self._fetching = None

    async def _fetch_and_take(self) -> bool:
        try:
            async with asyncio.timeout(FETCH_SECONDS):
                published = _decode(await self._fetch())
            self._take(published)
        except Exception as error:  # noqa: BLE001 - whatever an issuer answers, the keys stay and the watch goes on
            reason = str(error) if isinstance(error, _Unusable) else certificate_problem(error) or type(error).__name__
            log.error("jwks.failed", host=self._host, error=reason, kept=bool(self._keys))  # noqa: TRY400 - the reason says it all
            metrics.DEPENDENCY_UP.labels("jwks").set(0)
            return False
        metrics.DEPENDENCY_UP.labels("jwks").set(1)
        return True

    def _take(self, published: Any) -> None:
        if published == self._published:
            return
        keys = self.usable(published)
        self._keys, self._published = keys, published
        self.version += 1
        log.info("jwks.loaded", host=self._host, keys=len(set(map(id, keys.values()))))

    def usable(self, published: Any) -> Mapping[str | None, TokenKey]:
        """Usable keys by their ids; the only one also serves tokens that name none. Others are left out, and logged
        once."""
        entries = published.get("keys") if isinstance(published, dict) else None
        if not isinstance(entries, list) or len(entries) > MAX_KEYS:
            raise _Unusable("no key set, or too large a one")
        keys: dict[str | None, TokenKey] = {}
        left_out: set[str] = set()
        for place, entry in enumerate(entries):
            key = from_jwk(entry, self._algorithms)
            kid = entry.get("kid") if isinstance(entry, dict) else None
            if key is None or not (kid is None or isinstance(kid, str)) or kid in keys:
                left_out.add(f"{place}: {kid if isinstance(kid, str) else ''}"[:100])
            else:
                keys[kid] = key
        for name in sorted(left_out - self._left_out):
            log.info("jwks.key_left_out", host=self._host, key=name, reason=_LEFT_OUT)
        self._left_out = left_out
        if not keys:
            raise _Unusable("no usable key")
        if len(keys) == 1:
            keys[None] = next(iter(keys.values()))
        else:
            keys.pop(None, None)
        return keys

    async def _fetch(self) -> bytes:
        proxied = not getproxies().keys().isdisjoint(("http", "https"))
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=self._tls), trust_env=proxied, cookie_jar=aiohttp.DummyCookieJar()
            ) as session,
            session.get(
                self._url,
                allow_redirects=False,
                headers={"Accept": "application/jwk-set+json, application/json", "Accept-Encoding": "identity"},
            ) as response,
        ):
            if response.status != 200:
                raise _Unusable(f"status {response.status}")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > MAX_BYTES:
                    raise _Unusable(f"more than {MAX_BYTES} bytes")
            return bytes(body)


class _Unusable(ValueError):
    """An answer that holds no key set; the message repeats nothing of it."""


def _checked(url: str, *, allow_http: bool) -> str:
    try:
        checked = http_url(url)
    except ValueError as error:
        raise ConfigurationError(f"JWT_JWKS_URL: {error}") from None
    try:
        check_proxy(checked)
    except ValueError as error:  # names the proxy's variable
        raise ConfigurationError(str(error)) from None
    parts = urlsplit(checked)
    if parts.scheme == "http" and not allow_http and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "JWT_JWKS_URL: keys over plain http can be exchanged on their way; use https://, "
            "or set JWT_JWKS_ALLOW_HTTP=true where the network is trusted"
        )
    return checked


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
