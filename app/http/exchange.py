"""One request and its answer, between the protocol and the app."""

from typing import Any

from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

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
            await self.message_event.wait()
            self.message_event.clear()
        if self.disconnected or self.response_complete:
            return {"type": "http.disconnect"}
        if self.fault is not None:
            raise RefusedBody(self.fault)  # a new one: kept, its stack would keep all that was read
        if self.charged and not self.more_body:
            self.release()
        message = {"type": "http.request", "body": bytes(self.body), "more_body": self.more_body}
        self.body = bytearray()
        return message


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
