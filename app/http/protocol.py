"""HTTP/1.1 over one connection: uvicorn's httptools protocol, which parses no more than it has to."""

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from app.errors import AppError, HeadTooLarge, MalformedRequest
from app.http import head
from app.http.connection import NEVER, Connection, too_many_connections
from app.http.connections import Connections
from app.http.exchange import Exchange, ExchangeUntilClose

_END_OF_HEAD = b"\r\n\r\n"
_FRAMING_BYTES = 16  # of chunk sizes for each byte of a body; a byte a chunk takes 5
_SMALL_PIECES = 8192  # of a body; each costs as much as 64 bytes


class HttpProtocol(Connection):
    """At most one request is parsed ahead."""

    def __init__(self, *, shared: Connections, **uvicorn: Any) -> None:
        super().__init__(shared=shared, **uvicorn)
        self._feeding = 0  # bytes
        self._pieces_left = 0
        self._framing_left = 0  # bytes that chunk sizes, their extensions and trailers may still take

    # What arrives

    def data_received(self, data: bytes) -> None:
        if self._refused is not None or self._leaving:
            self._drop(data)
        elif self._rest:
            self._hold(self._rest + data)
        else:
            if self._idle:
                self._idle = False
                self._deadline = self.loop.time() + self._bounds.head_seconds
            self._parse(data)

    def _parse(self, data: bytes) -> None:
        """Parses until a request waits behind the one being answered. A piece ends no more than one head."""
        at = 0
        while at < len(data) and self._refused is None and not self.pipeline:
            end = len(data)
            if data.count(_END_OF_HEAD, at) > 1:
                end = data.find(_END_OF_HEAD, at) + len(_END_OF_HEAD)
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
            elif self.headers is not self.cycle.scope["headers"]:  # the next head has begun
                self._head_bytes = 1
            if self._head_bytes > self._bounds.head_bytes or len(self.headers or ()) > self._bounds.headers:
                self._misread(head.too_large(self._bounds))
        elif in_head or cycle is self.cycle:
            self._framing_left -= taken - (head.size(self.url, self.headers) if in_head else 0)
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

    # What the parser finds

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
            raise too_many_connections()
        self._in_head = False
        self._head_bytes = 0
        self._framing_left = bounds.head_bytes
        self._pieces_left = _SMALL_PIECES
        self.cycle = cycle = (Exchange if version == "1.1" else ExchangeUntilClose)(
            scope,
            self._out,
            self.flow,
            self.logger,
            self.access_logger,
            False,
            self.server_state.default_headers,
            asyncio.Event(),
            self.expect_100_continue,
            version == "1.1" and parser.should_keep_alive() and not self._over,
            self.on_response_complete,
        )
        cycle.shared = self._shared
        if self._running is None:
            self._start(cycle)
        else:
            self.pipeline.appendleft((cycle, self.app))

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
        self._deadline = NEVER
        if self._running is None:
            self._await_request()

    # The answer

    def _start(self, cycle: Any) -> None:
        self._running = cycle
        self._deadline = self.loop.time() + self._bounds.body_seconds if cycle.more_body else NEVER
        self._start_asgi_task(cycle, self.app)

    def on_response_complete(self) -> None:
        self.server_state.total_requests += 1
        if self._running is not None:
            if self._running.charged:
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
        if self.flow.read_paused:
            self.flow.release_reading()
        if self._rest:
            rest = self._rest
            self._hold(b"")
            self._parse(rest)
