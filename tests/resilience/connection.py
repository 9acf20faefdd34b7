"""One connection to the provider: HTTP/1.1 by hand, since libraries that serve it do not misbehave."""

import asyncio
import re
import socket
import struct
from typing import TYPE_CHECKING, cast

import msgspec

from tests.resilience.acts import Act, Api, Call

if TYPE_CHECKING:
    from tests.resilience.provider import Provider

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_PATHS: dict[bytes, Api] = {
    b"/v1/chat/completions": "openai",
    b"/v1/messages": "anthropic",
    b"/api/chat": "ollama",
}
_MODELS = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n{"object":"list","data":[]}'
_AWAY = b"HTTP/1.1 503 Away\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_TLS_HANDSHAKE = b"\x16"
_BYTES_A_TOKEN = 4
_READING_SECONDS = 0.01
"""For what was written to be read before a reset discards it."""

_NO_LINGER = struct.pack("ii", 1, 0)


class Connection(asyncio.Protocol):
    """Answers one call at a time; notices at once when the caller hangs up."""

    def __init__(self, provider: "Provider") -> None:
        self._provider = provider
        self._buffer = b""
        self._answering: asyncio.Task[None] | None = None
        self.call: Call | None = None
        """The call that is being answered."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._provider.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._provider.connections.discard(self)
        if self._answering is not None:
            self._answering.cancel()

    def abort(self) -> None:
        self._transport.abort()

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._buffer.startswith(_TLS_HANDSHAKE):
            self._transport.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
            self._transport.close()
            return
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        length = _LENGTH.search(self._buffer, 0, end)
        stop = end + 4 + (int(length[1]) if length else 0)
        if len(self._buffer) < stop:
            return
        head, body, self._buffer = self._buffer[:end], self._buffer[end + 4 : stop], self._buffer[stop:]
        self._take(head.split(b" ", 2)[1].split(b"?", 1)[0], body)

    def _take(self, path: bytes, body: bytes) -> None:
        api = _PATHS.get(path)
        if api is None:
            self._provider.probes.append(asyncio.get_running_loop().time())
            self._transport.write(_MODELS if self._provider.may_probe else _AWAY)
            return
        fields = msgspec.json.decode(body)
        stream = fields.get("stream", api == "ollama")
        call = self.call = Call(api, fields["model"], stream, fields, len(body) // _BYTES_A_TOKEN)
        act = self._provider.act_for(call)
        self._answering = asyncio.create_task(self._answer(call, act))

    async def _answer(self, call: Call, act: Act) -> None:
        written, whole, left = 0, False, True
        try:
            await asyncio.sleep(act.wait)
            self._write_head(act)
            for piece, tokens in act.pieces:
                self._transport.write(piece if act.head == "none" else b"%x\r\n%s\r\n" % (len(piece), piece))
                written += tokens
                if act.pause:
                    await asyncio.sleep(act.pause)
            if act.ending == "silent":
                await asyncio.Event().wait()  # until the caller hangs up
            if act.ending == "reset":
                await asyncio.sleep(_READING_SECONDS)
            whole, left = act.ending == "complete" and act.head == "whole", False
        finally:
            self.call = self._answering = None
            self._provider.accounts[call.model].settle(call, act, written, whole=whole, left=left)
        self._end(act)

    def _write_head(self, act: Act) -> None:
        if act.head == "none":
            return
        headers = {"Content-Type": "application/json", **act.headers, "Transfer-Encoding": "chunked"}
        lines = [f"HTTP/1.1 {act.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        head = "\r\n".join([*lines, "", ""]).encode()
        self._transport.write(head if act.head == "whole" else head[: len(head) // 2])

    def _end(self, act: Act) -> None:
        match act.ending:
            case "complete":
                self._transport.write(b"0\r\n\r\n")
            case "reset":
                self._reset()
            case "cut" | "silent":
                self._transport.close()

    def _reset(self) -> None:
        """Close with RST instead of FIN."""
        self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._transport.abort()
