"""Opens N streams, tells when each has had its first token, and holds them until its input closes.

Run as `python -m bench.hold SPEC`, SPEC being a `Spec` as JSON; prints the number of open streams, once.
"""

import asyncio
import contextlib
import json
import sys
from typing import cast

import uvloop

from bench.measurement import Spec

_TOGETHER = 50
_SECONDS = 90
_FIRST_TOKEN = b"w00"  # the space before it may come in an event of its own


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


async def hold(spec: Spec) -> None:
    """Opens them a few at a time, within 90 s, and waits for the end of the input."""
    loop = asyncio.get_running_loop()
    template = spec.request()

    async def one(number: int) -> bool:
        request = template % {b"turn": number, b"session": number}
        _, stream = await loop.create_connection(lambda: Stream(request), "127.0.0.1", spec.port)
        return await stream.started

    started = 0
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            for first in range(0, spec.connections, _TOGETHER):
                several = range(first, min(first + _TOGETHER, spec.connections))
                started += sum(await asyncio.gather(*map(one, several)))
    print(started, flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    uvloop.run(hold(Spec(**json.loads(sys.argv[1]))))
