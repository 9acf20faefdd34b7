"""MCP servers as a service has them: a servers file, pins, and connections that are kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from pathlib import Path
from typing import Any

from app.messages import ToolCall
from app.settings import load
from app.telemetry.traces import Tracing
from app.tools.call import call_tool
from app.tools.context import ToolContext
from app.tools.mcp.definition import Definition
from app.tools.mcp.offers import offers_of
from app.tools.mcp.pins import Pins, read_pins, write_pins
from app.tools.mcp.servers import McpServers
from app.tools.mcp.servers_file import servers_of
from app.tools.registry import Registry
from app.tools.result import ToolResult
from tests.doubles import ADA


class McpStage:
    def __init__(self, folder: Path, *servers: Mapping[str, Any], **settings: Any) -> None:
        self.path = folder / "mcp.yaml"
        self.path.write_text(json.dumps({"servers": servers}))  # JSON is YAML
        self.pins_path = folder / "mcp.pins.json"
        self.settings = load(None, mcp_servers_file=self.path, **settings)

    async def pin(self) -> Pins:
        read, path = servers_of(self.settings)
        found: dict[str, Mapping[str, Definition]] = {}
        for server in read.servers:
            found[server.name] = (await offers_of(server, self.settings, {}, None)).pinned
        write_pins(path, found)
        return read_pins(path)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator["Connected"]:
        servers = McpServers(self.settings)
        task = asyncio.create_task(servers.run())
        try:
            yield Connected(servers)
        finally:
            task.cancel()
            await asyncio.wait((task,))


class Connected:
    def __init__(self, servers: McpServers) -> None:
        self.servers = servers
        self.registry = Registry(servers.tools)

    async def call(self, name: str, **arguments: Any) -> ToolResult:
        context = ToolContext(ADA, "a-run")
        call = ToolCall("1", name, arguments)
        return await call_tool(self.registry, context, call, slot=lambda _: nullcontext(), tracing=Tracing(None))

    async def until(self, holds: Callable[["Connected"], bool]) -> None:
        async with asyncio.timeout(60):
            while not holds(self):  # noqa: ASYNC110 - it tells nobody
                await asyncio.sleep(0.01)

    def states(self, server: str) -> Mapping[str, int]:
        return self.servers.health()[server][1]

    def status(self, server: str) -> str:
        return self.servers.health()[server][0]
