"""The fake model server: three protocols, precomputed answers, never the bottleneck.

The model's name says how a stream is paced: `fast` (8 tokens a write), `fast-N` (N tokens a write),
`paced-Nms` (one token a write, N milliseconds apart), `hold` (two tokens, the second of which tells that
the first is whole, then quiet until closed).
Run it as `python -m bench.upstream PORT`.
"""

import asyncio
import contextlib
import re
import sys
from typing import cast

import uvloop

from bench import wire

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_MODEL = re.compile(rb'"model" *: *"([^"]*)"')
_STREAM = re.compile(rb'"stream" *: *(true|false)')
_PACED = re.compile(r"paced-(\d+)ms")
_FAST = re.compile(r"fast-(\d+)")


class Upstream(asyncio.Protocol):
    """One connection. A request is answered whole before the next one in the buffer is looked at."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._buffer = b""
        self._busy = False
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if not self._busy:
            self._take()

    def _take(self) -> None:
        while not self._busy and not self._transport.is_closing():
            end = self._buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            length = _LENGTH.search(self._buffer, 0, end)
            stop = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < stop:
                return
            head, body = self._buffer[:end], self._buffer[end + 4 : stop]
            self._buffer = self._buffer[stop:]
            self._answer(head, body, length is not None)

    def _answer(self, head: bytes, body: bytes, has_length: bool) -> None:
        path = head.split(b" ", 2)[1].split(b"?", 1)[0]
        api = wire.CALLS.get(path)
        if api is None:
            self._transport.write(wire.STATIC.get(path, wire.NOT_FOUND))
            return
        if not has_length:
            self._transport.write(wire.LENGTH_REQUIRED)
            self._transport.close()
            return
        found = _MODEL.search(body)
        model = found[1].decode() if found else "fast"
        flag = _STREAM.search(body)
        if flag[1] == b"true" if flag else api == "ollama":
            self._busy = True
            self._stream(wire.stream(api, model), model)
        else:
            self._transport.write(wire.plain(api, model))

    def _stream(self, stream: wire.Stream, model: str) -> None:
        self._transport.write(stream.opening)
        if model == "hold":
            self._transport.write(stream.tokens[0] + stream.tokens[1])
        elif paced := _PACED.fullmatch(model):
            self._pace(stream, 0, self._loop.time(), int(paced[1]) / 1000)
        else:
            fast = _FAST.fullmatch(model)
            self._burst(stream, 0, int(fast[1]) if fast else 8)

    def _pace(self, stream: wire.Stream, at: int, start: float, apart: float) -> None:
        if self._transport.is_closing():
            return
        if at == len(stream.tokens):
            self._finish(stream.closing)
            return
        self._transport.write(stream.tokens[at])
        self._loop.call_at(start + (at + 1) * apart, self._pace, stream, at + 1, start, apart)

    def _burst(self, stream: wire.Stream, at: int, size: int) -> None:
        if self._transport.is_closing():
            return
        piece = b"".join(stream.tokens[at : at + size])
        if at + size >= len(stream.tokens):
            self._finish(piece + stream.closing)
            return
        self._transport.write(piece)
        self._loop.call_soon(self._burst, stream, at + size, size)

    def _finish(self, data: bytes) -> None:
        self._transport.write(data)
        self._busy = False
        self._take()


async def serve(port: int) -> None:
    """Listens on the loopback until cancelled."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(loop), "127.0.0.1", port, backlog=4096)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(serve(int(sys.argv[1])))
