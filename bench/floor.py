"""The floors: the least a FastAPI service can do between a caller and a model.

A shared client, the body passed on as it came, the answer passed back as it came. Run as
`python -m bench.floor httpx|aiohttp UPSTREAM_URL PORT`.
"""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import httpx
import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.responses import StreamingResponse

_JSON = {"content-type": "application/json"}
_TIMEOUT_SECONDS = 300


def over_aiohttp(url: str) -> FastAPI:
    """The pass-through with one `aiohttp.ClientSession`, without a limit on its connections."""
    session: aiohttp.ClientSession

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal session
        timeout = aiohttp.ClientTimeout(total=_TIMEOUT_SECONDS)
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat")
    async def chat(request: Request) -> Response:
        async with session.post(url, data=await request.body(), headers=_JSON) as answer:
            return Response(await answer.read(), answer.status, media_type="application/json")

    @app.post("/chat/stream")
    async def chat_stream(request: Request) -> Response:
        body = await request.body()

        async def chunks() -> AsyncIterator[bytes]:
            async with session.post(url, data=body, headers=_JSON) as answer:
                async for chunk in answer.content.iter_any():
                    yield chunk

        return StreamingResponse(chunks(), media_type="text/event-stream")

    return app


def over_httpx(url: str) -> FastAPI:
    """The pass-through with one `httpx.AsyncClient`, its pool as large as the load needs.

    With httpx's own limits (100 connections, 20 kept) it would fail at 256 for want of a connection.
    """
    client: httpx.AsyncClient

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        nonlocal client
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        async with httpx.AsyncClient(timeout=_TIMEOUT_SECONDS, limits=limits) as client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.post("/chat")
    async def chat(request: Request) -> Response:
        answer = await client.post(url, content=await request.body(), headers=_JSON)
        return Response(answer.content, answer.status_code, media_type="application/json")

    @app.post("/chat/stream")
    async def chat_stream(request: Request) -> Response:
        body = await request.body()

        async def chunks() -> AsyncIterator[bytes]:
            async with client.stream("POST", url, content=body, headers=_JSON) as answer:
                async for chunk in answer.aiter_bytes():
                    yield chunk

        return StreamingResponse(chunks(), media_type="text/event-stream")

    return app


def main(library: str, upstream: str, port: int) -> None:
    """Serves one floor in this process."""
    app = {"aiohttp": over_aiohttp, "httpx": over_httpx}[library](upstream + "/v1/chat/completions")
    config = uvicorn.Config(app, port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning")
    uvicorn.Server(config).run()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
