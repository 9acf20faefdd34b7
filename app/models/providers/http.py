"""The client session that carries the calls of every provider that is spoken to in plain HTTP."""

import asyncio
import ssl
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any
from urllib.request import getproxies

import aiohttp
import msgspec
from msgspec import Struct

from app.errors import ModelError
from app.models.providers.content_types import mistaken
from app.models.providers.failures import from_exception, from_status, unavailable
from app.models.providers.refusals import Said
from app.models.resting import Resting
from app.telemetry.outgoing import Outgoing, OutgoingCall
from app.telemetry.traces import Tracing

CONNECT_SECONDS = 5.0
SILENCE_SECONDS = 300.0
"""Longest wait for the next byte: a model may have to be loaded, or thinks. Deadlines are the caller's."""

KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 s after which uvicorn, and so vLLM, closes an idle connection: a call sent on it is lost."""

MAX_ANSWER_BYTES = 16 * 1024 * 1024
DRAIN_SECONDS = 0.1
QUIET_SECONDS = 0.5
"""After which a body that could be whole is taken as such."""

LATE_SECONDS = 1.0
"""How long a server that has told why its answer ends may take for the mark of the end."""

_JSON = msgspec.json.Decoder()
_BROKEN = (aiohttp.ClientError, ConnectionError, ssl.SSLError)


class Http:
    """One aiohttp session, made at the first call inside the running loop and shared by all providers.

    Any number of calls may be open at once: how many is limited where requests come in, not in a pool where
    they would wait unseen.
    """

    def __init__(
        self,
        connect_seconds: float = CONNECT_SECONDS,
        silence_seconds: float = SILENCE_SECONDS,
        tls: ssl.SSLContext | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self.outgoing = Outgoing(tracing or Tracing(None))
        self._tls = tls or True
        self._timeout = aiohttp.ClientTimeout(
            total=None, connect=None, sock_connect=connect_seconds, sock_read=silence_seconds
        )
        self._session: aiohttp.ClientSession | None = None

    def call(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], resting: Resting | None = None
    ) -> "_Call":
        """A successful answer, for `async with`. Leaving the block before the answer's end closes the connection.

        aiohttp's exceptions in the block become ModelUnavailable, another status what `from_status` makes. A server
        that may know is told the request being served. `resting` hears the answer's headers.
        """
        return _Call(self.open, self.outgoing.call(method, url), method, url, body, headers, resting)

    async def aclose(self) -> None:
        if self._session:
            await self._session.close()

    def open(self) -> aiohttp.ClientSession:
        """The session."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS, ssl=self._tls),
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"Accept-Encoding": "identity"},
                trust_env=not getproxies().keys().isdisjoint(("http", "https")),
            )
        return self._session


class _Call(Struct):
    """A class, since every model call enters it and a generator costs more."""

    _open: Callable[[], aiohttp.ClientSession]
    _outgoing: OutgoingCall
    _method: str
    _url: str
    _body: bytes | None
    _headers: Mapping[str, str]
    _resting: Resting | None
    _response: Any = None  # the answer, as soon as it has begun

    async def __aenter__(self) -> aiohttp.ClientResponse:
        outgoing = self._outgoing.__enter__()
        try:
            return await self._send({**self._headers, **outgoing.headers})
        except BaseException as error:
            outgoing.__exit__(type(error), error, None)
            raise

    async def _send(self, headers: Mapping[str, str]) -> aiohttp.ClientResponse:
        try:
            response = self._response = await self._open().request(
                self._method, self._url, data=self._body, headers=headers, allow_redirects=False
            )
            self._outgoing.answered(response.status)
            if self._resting is not None:
                self._resting.heard(response.headers)
            if not 200 <= response.status < 300:
                async with response:
                    said = await read(response)
                    failure = from_status(response.status, response.headers, said)
                    raise failure from Said(response.status, said)
        except _BROKEN as error:
            raise from_exception(error, answering=False) from error
        return response

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        try:
            await self._close(kind, error, stack)
        except BaseException as another:
            self._outgoing.__exit__(type(another), another, None)
            raise
        self._outgoing.__exit__(kind, error, stack)

    async def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        """Raises what the error in the block becomes, if that is another."""
        try:
            await self._response.__aexit__(kind, error, stack)
        except aiohttp.ClientError as broken:
            error = broken
        if isinstance(error, _BROKEN):
            raise from_exception(error, answering=True) from error
        content_type = self._response.headers.get("Content-Type", "")
        if isinstance(error, ModelError) and (another := mistaken(error, content_type)):
            raise another from error


def is_json(body: bytes) -> bool:
    """Whether the body is one JSON text, and whole."""
    try:
        _JSON.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return False
    return True


async def read(
    response: aiohttp.ClientResponse, start: bytes = b"", is_whole: Callable[[bytes], bool] = is_json
) -> bytes:
    """The whole body, of which `start` was read before, if it has a sane size. Some servers leave the connection open
    after it: what `is_whole` is taken as all when nothing follows for a while.

    Raises ModelUnavailable.
    """
    content = response.content
    pieces = [start] if start else []
    size = len(start)
    while not content.at_eof():
        piece = await (_next(content, pieces, is_whole) if _may_be_whole(content, pieces) else content.readany())
        if not piece:
            break
        pieces.append(piece)
        size += len(piece)
        if size > MAX_ANSWER_BYTES:
            raise unavailable("broken_answer", f"more than {MAX_ANSWER_BYTES} bytes")
    return b"".join(pieces)


def _may_be_whole(content: aiohttp.StreamReader, pieces: Sequence[bytes]) -> bool:
    return bool(pieces) and not content.is_eof() and pieces[-1].rstrip().endswith((b"}", b"]"))


async def _next(content: aiohttp.StreamReader, pieces: Sequence[bytes], is_whole: Callable[[bytes], bool]) -> bytes:
    """The next piece of a body; none where it is whole and nothing follows for a while."""
    with suppress(TimeoutError):
        async with asyncio.timeout(QUIET_SECONDS):
            return await content.readany()
    return b"" if is_whole(b"".join(pieces)) else await content.readany()


async def drain(response: aiohttp.ClientResponse) -> None:
    """Read what follows the last event of a stream, mostly nothing, to use its connection again. The answer is
    complete: whatever happens to the connection meanwhile is no error."""
    if response.content.at_eof():
        return
    with suppress(TimeoutError, aiohttp.ClientError):
        async with asyncio.timeout(DRAIN_SECONDS):
            while not response.content.at_eof():
                await response.content.readany()
