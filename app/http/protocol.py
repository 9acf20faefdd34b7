"""HTTP/1.1 over one connection: uvicorn's httptools protocol, bounded in time and memory.

Uvicorn has no setting for any of it: `limit_concurrency` refuses probes as well and keeps idle connections, and
`h11_max_incomplete_event_size` is for another parser.
"""

import asyncio
from types import SimpleNamespace
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.errors import AppError, HeadTooLarge, MalformedRequest, Overloaded, RequestTimeout
from app.http import head
from app.http.connections import Connections
from app.http.exchange import Exchange, ExchangeUntilClose
from app.http.flow import Flow

_END_OF_HEAD = b"\r\n\r\n"
_FRAMING_BYTES = 16  # of chunk sizes for each byte of a body; a byte a chunk takes 5
_SMALL_PIECES = 8192  # of a body; each costs as much as 64 bytes
_LINGER_SECONDS = 1.0  # for a refusal to reach a client that still sends
_LINGER_BYTES = 1_048_576
_HALF_CLOSED_SECONDS = 0.25  # for a short answer to a client that has closed its side, which most do to leave
_NEVER = float("inf")


class HttpProtocol(HttpToolsProtocol):
    """At most one request is parsed ahead. Deadlines are looked after by `Connections`."""

    def __init__(self, *, shared: Connections, **uvicorn: Any) -> None:
        super().__init__(**uvicorn)
        self._shared = shared
        self._bounds = shared.bounds
        self._running: Exchange | None = None  # being answered; `cycle` is the last one parsed
        self._in_head = True
        self._idle = False  # between two requests
        self._head_bytes = 0  # of a head that is not complete
        self._feeding = 0  # bytes
        self._pieces_left = 0
        self._framing_left = 0  # bytes that chunk sizes, their extensions and trailers may still take
        self._rest = b""  # received, not parsed
        self._refused: AppError | None = None  # what comes from now on is dropped
        self._dropped = 0
        self._leaving = False  # nothing is written any more
        self._deadline = _NEVER

    # The connection's life

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
            self._refuse(_too_many_connections())

    def connection_lost(self, exc: Exception | None) -> None:
        self._shared.forget(self)
        self._hold(b"")
        for cycle in (self._running, self.cycle):
            if isinstance(cycle, Exchange):
                cycle.leave()
        super().connection_lost(exc)
        self._out.close = None  # else only the garbage collector could free what the connection held

    def eof_received(self) -> bool:  # type: ignore[override]
        """Returns whether to stay: a client that has closed its side has left, or waits for its answer."""
        if self._running is None or self._running.more_body or self._leaving:
            return False
        self.loop.call_later(_HALF_CLOSED_SECONDS, self.transport.close)
        return True

    def check(self, now: float) -> None:
        if now >= self._deadline:
            self._deadline = _NEVER
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

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._refused is not None or self._leaving:
            self._dropped += len(data)
            if self._dropped > _LINGER_BYTES:
                self.transport.abort()
        elif self._rest:
            self._hold(self._rest + data)
        else:
            if self._idle:
                self._idle = False
                self._deadline = self.loop.time() + self._bounds.head_seconds
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parses until a request waits behind the one being answered. A piece has the end of one head at most."""
        at = 0
        while at < len(data) and self._refused is None and not self.pipeline:
            end = data.find(_END_OF_HEAD, at) + len(_END_OF_HEAD)
            if end < len(_END_OF_HEAD) or data.find(_END_OF_HEAD, end) < 0:
                end = len(data)
            at += self._feed(data[at:end])
        if self.pipeline:
            self.flow.hold_reading()
            self._hold(data[at:])

    def _feed(self, data: bytes) -> int:
        """Returns how many bytes were taken."""
        taken = self._feeding = len(data)
        in_head, cycle = self._in_head, self.cycle
        try:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as stopped:
                taken = stopped.args[0]
                self._parse_without_upgrade()
        except httptools.HttpParserError as error:
            self._misread(head.problem_of(error, data))
            return taken
        if self._in_head:
            if in_head and cycle is self.cycle:
                self._head_bytes += taken
            if self._head_bytes > self._bounds.head_bytes or len(self.headers or ()) > self._bounds.headers:
                self._misread(head.too_large(self._bounds))
        elif not in_head:
            self._framing_left -= taken
            if self._framing_left < 0:
                self._misread(HeadTooLarge(f"Trailers may have {self._bounds.head_bytes} bytes."))
        return taken

    def _parse_without_upgrade(self) -> None:
        """Ignores an upgrade, which is never wanted (RFC 9110, section 7.8): the body belongs to the request. The
        parser cannot be told so, and another one reads the head without it."""
        bare = head.without_upgrade(self.parser.get_method(), self.url, self.parser.get_http_version(), self.headers)
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(bare)

    def _misread(self, error: AppError) -> None:
        """Ends the connection for what cannot be read, after the answers to what came before it."""
        if self._in_head and self._running is None:
            self._refuse(error)
            return
        self._refused = error
        if self._in_head:
            return  # told when nothing else is left to answer
        if self.cycle.response_complete:
            self._linger()
        else:
            self.cycle.fail(error)

    def _hold(self, data: bytes) -> None:
        self._shared.body_bytes += len(data) - len(self._rest)
        self._rest = data

    # What the parser finds

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = self._head_bytes or 1

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._in_head:  # else a trailer, which is nobody's header
            self.headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        parser, scope, bounds = self.parser, self.scope, self._bounds
        method, version = parser.get_method(), parser.get_http_version()
        self.expect_100_continue = head.check(method, version, self.headers)
        if parser.should_upgrade():
            return
        if self._head_bytes + self._feeding > bounds.head_bytes or len(self.headers) > bounds.headers:
            head.check_size(self.url, self.headers, bounds)
        scope["method"] = method.decode("ascii")
        scope["http_version"] = version
        head.locate(scope, self.url, self.root_path)
        if self._over and scope["path"] not in bounds.spared:
            raise _too_many_connections()
        self._in_head = False
        self._head_bytes = 0
        self._framing_left = bounds.head_bytes
        self._pieces_left = _SMALL_PIECES
        self._accept(version, keep_alive=version == "1.1" and parser.should_keep_alive() and not self._over)

    def _accept(self, version: str, *, keep_alive: bool) -> None:
        self.cycle: Exchange = (Exchange if version == "1.1" else ExchangeUntilClose)(
            scope=self.scope,
            transport=self._out,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=self.server_state.default_headers,
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=keep_alive,
            on_response=self.on_response_complete,
        )
        self.cycle.shared = self._shared
        if self._running is None:
            self._start(self.cycle)
        else:
            self.pipeline.appendleft((self.cycle, self.app))

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        self._framing_left += _FRAMING_BYTES * len(body)
        self._pieces_left += (len(body) >> 6) - 1
        if self._pieces_left < 0:
            raise MalformedRequest("The body comes in too many small pieces.")
        if not cycle.response_complete and cycle.take(body):
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        if self._in_head:  # with an upgrade: it is read once more
            return
        self._in_head = True
        self.cycle.more_body = False
        self.cycle.message_event.set()
        self._deadline = _NEVER
        if self._running is None:
            self._await_request()

    # The answer

    def _start(self, cycle: Any) -> None:
        self._running = cycle
        self._deadline = self.loop.time() + self._bounds.body_seconds if cycle.more_body else _NEVER
        self._start_asgi_task(cycle, self.app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._running is not None:
            self._running.release()
            self._running = None
        if self._leaving or self.transport.is_closing():
            return
        if self.pipeline:
            self._start(self.pipeline.pop()[0])
        elif self._refused is not None:
            self._refuse(self._refused)
        elif self._in_head:
            self._await_request()
        self.flow.release_reading()
        if self._rest:
            rest = self._rest
            self._hold(b"")
            self._parse(rest)

    def _await_request(self) -> None:
        self._idle = not self._head_bytes
        seconds = self._bounds.idle_seconds if self._idle else self._bounds.head_seconds
        self._deadline = self.loop.time() + seconds

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


def _too_many_connections() -> Overloaded:
    return Overloaded("Too many connections are open. Try again.")
