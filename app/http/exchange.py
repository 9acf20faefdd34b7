"""One request and its answer, between the protocol and the app."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import (
    HEADER_RE,
    HEADER_VALUE_RE,
    STATUS_LINE,
    RequestResponseCycle,
)

from app.api.consumed_body import is_consumed
from app.api.failures import RefusedBody
from app.errors import AppError, Overloaded
from app.http.connections import FREE_BODY_BYTES, Connections

_PIECE_BYTES = 64  # that a piece of a body takes beside its bytes


class Exchange(RequestResponseCycle):
    """Uvicorn's cycle with an account of the body's memory, and with failures that the app gets to answer."""

    shared: Connections
    fault: AppError | None = None
    _received = 0
    charged = 0

    def take(self, body: bytes) -> bool:
        """Keeps a piece of the body until the app takes it; False if it is dropped."""
        if self.fault is None:
            self.body += body
            self._received += len(body) + _PIECE_BYTES
            if self._received > FREE_BODY_BYTES:
                self._charge()
        return self.fault is None

    def _charge(self) -> None:
        due = self._received - FREE_BODY_BYTES - self.charged
        self.charged += due
        self.shared.body_bytes += due
        if self.shared.body_bytes > self.shared.bounds.bodies_bytes:
            self.fail(Overloaded("Too many large bodies are being sent. Try again."))

    def release(self) -> None:
        """The body's memory is no longer held."""
        self.shared.body_bytes -= self.charged
        self.charged = self._received = 0

    def fail(self, error: AppError) -> None:
        """The body will not be complete: the app is told when it asks for more."""
        self.fault = self.fault or error
        self.keep_alive = False
        self.body = bytearray()
        self.release()
        self.message_event.set()

    def leave(self) -> None:
        """The client is gone."""
        self.release()
        if not self.response_complete:
            self.disconnected = True
        self.message_event.set()

    async def receive(self) -> Any:
        """Uvicorn's, and raises RefusedBody."""
        if self.waiting_for_100_continue and not self.transport.is_closing():
            self.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            self.waiting_for_100_continue = False
        if not self.disconnected and not self.response_complete and self.fault is None:
            self.flow.resume_reading()
            if not self.message_event.is_set():
                await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.fault is not None:
            raise RefusedBody(self.fault)  # a new one: kept, its stack would keep all that was read
        if self.charged and (not self.more_body or is_consumed(self.scope["state"])):
            self.release()
        message = {"type": "http.request", "body": bytes(self.body), "more_body": self.more_body}
        self.body = bytearray()
        return message

    async def send(self, message: Any) -> None:
        """Uvicorn's, which is left what is not usual."""
        if self.disconnected or self.flow.write_paused:
            await super().send(message)
        elif not self.response_started:
            if not self._write_head(message):
                await super().send(message)
        elif not self._write_whole(message):
            await super().send(message)

    def _write_head(self, message: Any) -> bool:
        """Writes a head that keeps the connection, with its headers checked together. False for others."""
        if message["type"] != "http.response.start" or not self.keep_alive or self.chunked_encoding is not None:
            return False
        headers = [*self.default_headers, *message.get("headers", ())]
        known = dict(headers)
        names, length = b"".join(known), known.get(b"content-length", b"")
        usual = length.isdigit() and len(known) == len(headers) and names.islower() and self.scope["method"] != "HEAD"
        if not usual or b"connection" in known or b"transfer-encoding" in known:
            return False
        if HEADER_RE.search(names) or HEADER_VALUE_RE.search(b"".join(known.values())):
            return False
        self.response_started = True
        self.waiting_for_100_continue = False
        self.chunked_encoding = False
        self.expected_content_length = int(length)
        lines = [name + b": " + value for name, value in headers]
        self.transport.write(STATUS_LINE[message["status"]] + b"\r\n".join(lines) + b"\r\n\r\n")
        return True

    def _write_whole(self, message: Any) -> bool:
        """Writes a body that is all there and as long as its head says, and ends the answer. False for others."""
        if message["type"] != "http.response.body" or message.get("more_body", False) or self.response_complete:
            return False
        body = message.get("body", b"")
        if self.chunked_encoding is not False or len(body) != self.expected_content_length or not self.keep_alive:
            return False
        self.expected_content_length = 0
        self.transport.write(body)
        self.response_complete = True
        self.message_event.set()
        self.on_response()
        return True


class ExchangeUntilClose(Exchange):
    """An answer to HTTP/1.0, which has no chunks (RFC 9112, section 6.1): one without a length ends with the
    connection."""

    _unframed = False

    async def send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self._unframed = all(name.lower() != b"content-length" for name, _ in message.get("headers", ()))
            if self._unframed:
                self.chunked_encoding = False
        elif self._unframed:
            self.expected_content_length = len(message.get("body", b""))
        await super().send(message)
