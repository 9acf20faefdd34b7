"""The HTTP API of a running service, as the commands of this folder ask it."""

import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

import aiohttp
import msgspec

from app.progress.events import Event, read_events

_TRY_AGAIN = frozenset({408, 425, 429, 500, 502, 503, 504})
_CONNECT_SECONDS = 10.0
_SILENT_SECONDS = 45.0
"""Three heartbeats of a stream: a connection that says nothing for so long is dead."""


class Unreachable(Exception):
    """No answer, or one that may be another later. `retry_after`: seconds that the service asks to wait."""

    def __init__(self, why: str, retry_after: float = 0.0) -> None:
        super().__init__(why)
        self.retry_after = retry_after


class Refused(Exception):
    """An answer that stays the same however often it is asked for; the message is its problem's detail."""

    def __init__(self, status: int, why: str, problem: Mapping[str, Any]) -> None:
        super().__init__(why)
        self.status = status
        self.problem = problem


class Service:
    """A connection to the service at this URL; its methods raise Unreachable and Refused."""

    def __init__(self, url: str, key: str = "") -> None:
        self.url = url.rstrip("/")
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def __aenter__(self) -> Self:
        timeout = aiohttp.ClientTimeout(None, sock_connect=_CONNECT_SECONDS, sock_read=_SILENT_SECONDS)
        connections = aiohttp.TCPConnector(limit=0)
        self._http = aiohttp.ClientSession(connector=connections, headers=self._headers, timeout=timeout)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def get(self, path: str, **parameters: str) -> Any:
        async with self._answer("GET", path, params=parameters) as answer:
            return await self._read(answer)

    async def post(self, path: str, body: Any = None, **headers: str) -> Any:
        async with self._answer("POST", path, json=body, headers=headers) as answer:
            return await self._read(answer)

    async def events(self, path: str, after: int) -> AsyncGenerator[Event]:
        """The stream's events after this number, until it ends or breaks."""
        headers = {"Last-Event-ID": str(after), "Accept": "text/event-stream"}
        async with self._answer("GET", path, headers=headers) as answer:
            if answer.content_type != "text/event-stream":
                raise self._stranger(answer)
            async for event in read_events(answer.content.iter_any()):
                yield event

    @asynccontextmanager
    async def _answer(self, method: str, path: str, **options: Any) -> AsyncIterator[aiohttp.ClientResponse]:
        """A redirect is not followed: the key is meant for this URL."""
        try:
            async with self._http.request(method, self.url + path, allow_redirects=False, **options) as answer:
                if not answer.ok or answer.status >= 300:
                    raise await self._failure(answer)
                yield answer
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            raise Unreachable(_said(error)) from error

    async def _read(self, answer: aiohttp.ClientResponse) -> Any:
        try:
            return msgspec.json.decode(await answer.read())
        except msgspec.DecodeError:
            raise self._stranger(answer) from None

    async def _failure(self, answer: aiohttp.ClientResponse) -> Exception:
        if 300 <= answer.status < 400:
            return Refused(answer.status, f"{self.url} leads to {answer.headers.get('Location', 'nowhere')}", {})
        try:
            problem = msgspec.json.decode(await answer.read(), type=dict[str, Any])
        except (msgspec.DecodeError, msgspec.ValidationError):
            problem = {}
        why = f"{problem.get('detail') or answer.reason or ''} (HTTP {answer.status})".strip()
        if answer.status in _TRY_AGAIN:
            return Unreachable(why, _seconds(answer.headers.get("Retry-After", "")))
        return Refused(answer.status, why, problem)

    def _stranger(self, answer: aiohttp.ClientResponse) -> Refused:
        return Refused(answer.status, f"{self.url} does not answer as agent-api does", {})


def _said(error: Exception) -> str:
    """Without the words that aiohttp adds for programmers."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return str(error) or type(error).__name__


def _seconds(retry_after: str) -> float:
    return float(retry_after) if retry_after.isdecimal() else 0.0
