"""The service on a port of its own, in the test's event loop, and what a client needs to speak to it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn

from app.main import create_app
from app.settings import load

_KEEP_ALIVE_SECONDS = 2.0  # less than the server's, which may close a connection as it is used again


class Service:
    """Asks the service over HTTP."""

    def __init__(self, port: int, session: aiohttp.ClientSession) -> None:
        self.port = port
        self.session = session

    async def ask(
        self, method: str, path: str, credential: str | None = None, body: Any = None
    ) -> tuple[int, Any, Mapping[str, str]]:
        """Status, body (parsed if it is JSON) and headers."""
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        async with self.session.request(method, path, headers=headers, json=body) as response:
            text = await response.text()
            parsed = json.loads(text) if text and "json" in response.content_type else text
            return response.status, parsed, response.headers

    async def chat(self, message: str, credential: str | None = None, **fields: Any) -> tuple[int, Any]:
        status, answer, _ = await self.ask("POST", "/chat", credential, {"message": message, **fields})
        return status, answer

    async def ask_raw(self, *headers: bytes, body: bytes = b'{"message":"hi"}', times: int = 1) -> list[bytes]:
        """The heads of the answers to POST /chat with these header lines, sent `times` on one connection."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        heads = []
        for _ in range(times):
            lines = (b"POST /chat HTTP/1.1", b"Host: x", b"Content-Type: application/json", *headers)
            writer.write(b"\r\n".join([*lines, b"Content-Length: %d" % len(body), b"", body]))
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.split(b":")[1]) for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            heads.append(head)
        writer.close()
        await writer.wait_closed()
        return heads


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Service]:
    app = create_app(load(None, **settings))
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(
        uvicorn.Config(app, http="httptools", ws="none", lifespan="on", log_config=None, proxy_headers=False)
    )
    running = asyncio.create_task(server.serve([listener]))
    port = listener.getsockname()[1]
    while not server.started:  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    try:
        connector = aiohttp.TCPConnector(keepalive_timeout=_KEEP_ALIVE_SECONDS)
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}", connector=connector) as session:
            yield Service(port, session)
    finally:
        server.should_exit = True
        await running
