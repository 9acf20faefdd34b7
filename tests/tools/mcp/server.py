"""A real MCP server, of the SDK, over streamable HTTP on loopback or over stdio, that does as a test says."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import mcp_types as types
import uvicorn
from mcp.server.lowlevel import Server

Answer = str | types.CallToolResult
Behaviour = Callable[[Mapping[str, Any]], Awaitable[Answer]]


def tool(name: str, description: str = "A tool.", schema: Mapping[str, Any] | None = None, **more: Any) -> types.Tool:
    return types.Tool(
        name=name, description=description, input_schema=dict(schema or {"type": "object", "properties": {}}), **more
    )


def text(*said: str, is_error: bool = False) -> types.CallToolResult:
    blocks: list[Any] = [types.TextContent(type="text", text=each) for each in said]
    return types.CallToolResult(content=blocks, is_error=is_error)


class Served:
    """What the server offers, and what it was asked."""

    def __init__(self, *tools: types.Tool) -> None:
        self.tools = list(tools)
        self.behaviour: dict[str, Behaviour] = {}
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self.cancelled: list[str] = []
        self.headers: list[Mapping[str, str]] = []
        self.sessions: list[Any] = []
        self.port = 0

    async def listed(self, context: Any, _: Any) -> types.ListToolsResult:
        self.sessions.append(context.session)
        return types.ListToolsResult(tools=self.tools)

    async def called(self, _: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        arguments = params.arguments or {}
        self.calls.append((params.name, arguments))
        try:
            answer = await self.behaviour[params.name](arguments) if params.name in self.behaviour else params.name
        except asyncio.CancelledError:
            self.cancelled.append(params.name)
            raise
        return text(answer) if isinstance(answer, str) else answer

    def server(self) -> Server[Any]:
        return Server("served", on_list_tools=self.listed, on_call_tool=self.called)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    @asynccontextmanager
    async def running(self, **options: Any) -> AsyncIterator["Served"]:
        """On a port of its own, and on that one again the next time."""
        app = self.server().streamable_http_app(**options)

        async def noting(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
            await app(scope, receive, send)

        listening = socket.socket(proto=socket.IPPROTO_TCP)  # or asyncio waits for acknowledgements
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", self.port))
        self.port = listening.getsockname()[1]
        config = uvicorn.Config(noting, log_config=None, lifespan="on", ws="none", timeout_graceful_shutdown=0)
        serving = uvicorn.Server(config)
        task = asyncio.create_task(serving.serve(sockets=[listening]))
        while not serving.started:  # noqa: ASYNC110 - it tells nobody
            await asyncio.sleep(0.005)
        try:
            yield self
        finally:
            serving.should_exit = serving.force_exit = True
            await task
            listening.close()
