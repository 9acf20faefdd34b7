"""Sends requests to URLs that callers name."""

import asyncio
import socket
import ssl
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager

import aiohttp
from yarl import URL

from app import __version__
from app.egress.addresses import is_public
from app.egress.connecting import LookUp, PublicResolver, Resolver, public_socket
from app.urls import HostSet, host_of, http_url

MAX_URL_CHARS = 2_048
CONNECT_SECONDS = 5.0
LOOK_UP_SECONDS = 3.0
"""Longest wait for a name when an address is only checked."""

KEEP_ALIVE_SECONDS = 4.0
_NOT_PUBLIC = "has a host without a public address"


class Egress:
    """Requests of one process. Redirects are not followed, cookies not kept, and proxies of the environment not used: a
    proxy would connect to what is checked here by its name only.

    `hosts` are the operator's: they may have any address, and be spoken to without TLS.
    """

    def __init__(
        self, hosts: Sequence[str], tls: ssl.SSLContext, *, seconds: float, look_up: LookUp = socket.getaddrinfo
    ) -> None:
        """`seconds` is the longest that a request and its answer may take."""
        self._hosts = HostSet(hosts)
        self._tls = tls
        self._seconds = seconds
        self._look_up = look_up
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._resolvers: dict[bool, Resolver] = {}

    def check_url(self, url: str) -> URL:
        """Raises ValueError, which repeats nothing of the URL, for one that nothing is sent to."""
        if len(url) > MAX_URL_CHARS:
            raise ValueError(f"has more than {MAX_URL_CHARS} characters")
        checked = _parsed(http_url(url))
        if self._is_own(checked):
            return checked
        if checked.scheme != "https":
            raise ValueError("is not an https:// address")
        if _is_address(checked) and not is_public(checked.raw_host or ""):
            raise ValueError(_NOT_PUBLIC)
        return checked

    async def check(self, url: str) -> None:
        """As `check_url`, with a look at the host's addresses; a name that is looked up for too long passes."""
        checked = self.check_url(url)
        if self._is_own(checked) or _is_address(checked):
            return
        try:
            async with asyncio.timeout(LOOK_UP_SECONDS):
                await self._resolver(own=False).resolve(checked.raw_host or "")
        except TimeoutError:
            return
        except (OSError, UnicodeError):
            raise ValueError(_NOT_PUBLIC) from None

    def request(
        self, method: str, url: URL, body: bytes | None, headers: Mapping[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        """The answer, for `async with`. `url` comes from `check_url`. Raises aiohttp's exceptions and TimeoutError."""
        session = self._session(self._is_own(url))
        return session.request(method, url, data=body, headers=headers, allow_redirects=False)

    async def aclose(self) -> None:
        for session in self._sessions.values():
            await session.close()

    def _is_own(self, url: URL) -> bool:
        return host_of(str(url)) in self._hosts

    def _resolver(self, own: bool) -> Resolver:
        if own not in self._resolvers:
            self._resolvers[own] = (Resolver if own else PublicResolver)(self._look_up)
        return self._resolvers[own]

    def _session(self, own: bool) -> aiohttp.ClientSession:
        if own not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=self._tls,
                resolver=self._resolver(own),
                use_dns_cache=False,
                socket_factory=None if own else public_socket,
            )
            self._sessions[own] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._seconds, sock_connect=CONNECT_SECONDS),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"agent-api/{__version__}", "Accept-Encoding": "identity"},
                auto_decompress=False,
                trust_env=False,
            )
        return self._sessions[own]


def _parsed(url: str) -> URL:
    try:
        return URL(url)
    except ValueError:  # whose words repeat it
        raise ValueError("is not an address that can be read") from None


def _is_address(url: URL) -> bool:
    host = url.raw_host or ""  # `host` raises for what begins with xn-- and is no name
    return ":" in host or host.rpartition(".")[2].isdecimal()
