"""`/metrics` on a port of its own, served by the event loop: connections cost no threads and have their bounds."""

import asyncio
from time import perf_counter
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.http.connections import Bounds

BOUNDS = Bounds(
    head_bytes=16_384, bodies_bytes=65_536, body_seconds=10, write_seconds=20, connections=64, spared_connections=0
)
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
            started = perf_counter()
            body = encode(REGISTRY)
            ended = perf_counter()
            self._rested_at = ended + _SHARE * (ended - started)
        return Response(body, headers={"Content-Type": media_type})
