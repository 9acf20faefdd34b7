"""The life of a connection: its deadlines, and how it is refused, closed and lost.

Uvicorn has no setting for any of it: `limit_concurrency` refuses probes as well and keeps idle connections, and
`h11_max_incomplete_event_size` is for another parser.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import AppError, Overloaded, RequestTimeout
from app.http.connections import Connections
from app.http.exchange import Exchange
from app.http.flow import Flow

NEVER = float("inf")
_LINGER_SECONDS = 1.0  # for a refusal to reach a client that still sends
_LINGER_BYTES = 262_144
_HALF_CLOSED_SECONDS = 0.25  # for a short answer to a client that has closed its side, which most do to leave


class Connection(HttpToolsProtocol):
    """Its deadlines are looked after by `Connections`."""

    cycle: Exchange

    def __init__(self, *, shared: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._shared = shared
        self._bounds = shared.bounds
        self._running: Exchange | None = None  # being answered; `cycle` is the last one parsed
        self._in_head = True
        self._idle = False  # between two requests
        self._head_bytes = 0  # of a head that is not complete
        self._rest = b""  # received, not parsed
        self._refused: AppError | None = None  # what comes from now on is dropped
        self._dropped = 0  # bytes
        self._leaving = False  # nothing is written any more
        self._deadline = NEVER

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)  # type: ignore[arg-type]
        self.flow: Flow = Flow(self.transport, self._bounds.write_seconds)
        self._out: Any = SimpleNamespace(
            write=self.transport.write, is_closing=self.transport.is_closing, close=self._finish
        )
        if self.client is not None:
            self.client = (self.client[0].removeprefix("::ffff:"), self.client[1])
        self._deadline = self.loop.time() + self._bounds.head_seconds
        self._shared.watch(self)
        beyond = len(self.connections) - self._bounds.connections
        self._over = beyond > 0
        if beyond > self._bounds.spared_connections:
            self._refuse(too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.forget(self)
        self._hold(b"")
        for cycle in (self._running, self.cycle):
            if isinstance(cycle, Exchange):
                cycle.leave()
        super().connection_lost(exc)
        self._out.close = self.transport.close  # else only the garbage collector could free what the connection held

    def eof_received(self) -> bool:  # type: ignore[override]
        """Returns whether to stay: a client that has closed its side has left, or waits for its answer."""
        if self._running is None or self._running.more_body or self._leaving:
            return False
        self.loop.call_later(_HALF_CLOSED_SECONDS, self.transport.close)
        return True

    def check(self, now: float) -> None:
        if now >= self._deadline and not self.transport.is_closing():
            self._deadline = NEVER
            self._expire()
        self.flow.check(now)

    def _expire(self) -> None:
        if self._leaving or self._idle or (self._in_head and not self._head_bytes):
            self.transport.close()
        elif self._in_head:
            self._refuse(RequestTimeout(f"The head was not sent within {self._bounds.head_seconds:g} s."))
        elif self.cycle.response_complete:
            self.transport.close()
        else:
            self.cycle.fail(RequestTimeout(f"The body was not sent within {self._bounds.body_seconds:g} s."))

    def _await_request(self) -> None:
        self._idle = not self._head_bytes
        seconds = self._bounds.idle_seconds if self._idle else self._bounds.head_seconds
        self._deadline = self.loop.time() + seconds

    def _hold(self, data: bytes) -> None:
        self._shared.body_bytes += len(data) - len(self._rest)
        self._rest = data

    def _drop(self, data: bytes) -> None:
        self._dropped += len(data)
        if self._dropped > _LINGER_BYTES:
            self.transport.abort()

    def _refuse(self, error: AppError) -> None:
        """Answers what never becomes a request, and leaves."""
        self._refused = error
        self.transport.write(self._shared.refuse(error, self.client[0] if self.client else ""))
        self._linger()

    def _finish(self) -> None:
        """Closes after an answer. A client that still sends its body would lose the answer to a reset."""
        if self._in_head and self._refused is None:
            self.transport.close()
        else:
            self._linger()

    def _linger(self) -> None:
        self._leaving = True
        self._deadline = self.loop.time() + _LINGER_SECONDS
        self.transport.write_eof()
        self.flow.release_reading()


def too_many_connections() -> Overloaded:
    return Overloaded("Too many connections are open. Try again.")
