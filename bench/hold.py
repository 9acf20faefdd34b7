"""Opens N streams, tells when each has had its first token, and holds them until its input closes.

Run as `python -m bench.hold PORT PATH BODY N`; prints the number of open streams, once.
"""

import asyncio
import sys
from typing import cast

import uvloop

_TOGETHER = 50
_FIRST_TOKEN = b" w00"


class Stream(asyncio.Protocol):
    """One stream that is read and kept."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._seen = b""
        self._transport: asyncio.Transport
        self.started: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        if not self.started.done():
            self._seen += data
            if _FIRST_TOKEN in self._seen:
                self.started.set_result(True)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.started.done():
            self.started.set_result(False)


async def hold(port: int, path: str, body: str, streams: int) -> None:
    """Opens them a few at a time and waits for the end of the input."""
    loop = asyncio.get_running_loop()

    async def one(number: int) -> bool:
        data = body.encode() % {b"turn": number, b"session": number}
        head = f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n"
        request = head.encode() + data
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", port)
        return await stream.started

    started = 0
    for first in range(0, streams, _TOGETHER):
        several = range(first, min(first + _TOGETHER, streams))
        async with asyncio.timeout(60):
            started += sum(await asyncio.gather(*map(one, several)))
    print(started, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(hold(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
