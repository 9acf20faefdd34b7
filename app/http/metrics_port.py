"""`/metrics` on a port of its own, served by the event loop: connections cost no threads and have their bounds."""

import asyncio
from collections.abc import Iterator
from time import perf_counter
from typing import Any

from msgspec import Struct
from prometheus_client import REGISTRY, Metric
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.http.connections import Bounds

BOUNDS = Bounds(
    head_bytes=16_384, bodies_bytes=65_536, body_seconds=10, write_seconds=20, connections=64, spared_connections=0
)
_AT_ONCE_SECONDS = 0.001  # what a thousand series take together would be felt by every stream
_END = b"# EOF\n"  # of OpenMetrics
_SHARE = 4  # of the time that it takes to write the metrics, they are not made again: a fifth of the loop


class MetricsPort:
    """The ASGI app: `GET` and `HEAD` of any path, as Prometheus' own server answers them."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._rested_at = 0.0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] not in ("GET", "HEAD"):
            response: Response = PlainTextResponse("GET is all that is served here.\n", 405, {"Allow": "GET, HEAD"})
        else:
            response = await self._metrics(Headers(scope=scope).get("accept", ""))
        await response(scope, receive, send)

    async def _metrics(self, accept: str) -> Response:
        encode: Any
        encode, media_type = choose_encoder(accept)
        async with self._turn:
            await asyncio.sleep(self._rested_at - perf_counter())
            body, seconds = await _encoded(encode)
            self._rested_at = perf_counter() + _SHARE * seconds
        return Response(body, headers={"Content-Type": media_type})


class _One(Struct):
    """A registry with one metric."""

    metric: Metric

    def collect(self) -> Iterator[Metric]:
        yield self.metric


async def _encoded(encode: Any) -> tuple[bytes, float]:
    """All metrics, and the seconds that it took to write them. The loop has its turn in between."""
    parts: list[bytes] = []
    part, seconds, started = b"", 0.0, perf_counter()
    for metric in REGISTRY.collect():
        part = encode(_One(metric))
        parts.append(part.removesuffix(_END))
        taken = perf_counter() - started
        if taken > _AT_ONCE_SECONDS:
            seconds += taken
            await asyncio.sleep(0)
            started = perf_counter()
    if part.endswith(_END):
        parts.append(_END)
    return b"".join(parts), seconds + perf_counter() - started
