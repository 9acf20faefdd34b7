"""The MCP servers of a process: their tools, and the connections behind them."""

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from app.errors import ConfigurationError
from app.settings import Settings
from app.telemetry.metrics import MCP_TOOLS
from app.tls import client_context
from app.tools.mcp.arguments import Check, check_of
from app.tools.mcp.connection import Connection, Status
from app.tools.mcp.definition import Definition, tool_name
from app.tools.mcp.on_record import Changes
from app.tools.mcp.pins import read_pins
from app.tools.mcp.schema import usable_schema
from app.tools.mcp.servers_file import SETTING, McpServer, servers_of
from app.tools.tool import Tool

STATES = ("on", "changed", "gone", "unknown", "new")


class McpServers:
    """`tools` are those that are pinned, whether or not their servers are there. `run` keeps the connections."""

    def __init__(self, settings: Settings) -> None:
        """Reads files, and asks no server. Raises ConfigurationError for files that cannot be read or meant."""
        quiet()
        read, pins = servers_of(settings)
        tls = client_context(settings.tls_strict)
        pinned = read_pins(pins)
        self._connections: list[Connection] = []
        self.changes = Changes()
        self.tools: list[Tool] = []
        for server in read.servers:
            of_server = {name: each for name, each in pinned.get(server.name, {}).items() if server.allows(name)}
            _check_names(server, of_server)
            connection = Connection(server, of_server, tls, self._count)
            self._connections.append(connection)
            self.tools += [_tool(connection, definition) for definition in of_server.values()]
        self._count()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as group:
            for connection in self._connections:
                group.create_task(connection.run())

    def health(self) -> Mapping[str, tuple[Status, Mapping[str, int]]]:
        """Of each server: how it is, and how many of its tools are in which state."""
        return {
            connection.server.name: (connection.status, Counter(_states(connection)))
            for connection in self._connections
        }

    def _count(self) -> None:
        counted = Counter(state for connection in self._connections for state in _states(connection))
        for state in STATES:
            MCP_TOOLS.labels(state).set(counted[state])
        for connection in self._connections:
            self.changes.look(connection.server.name, connection.offer)


def _states(connection: Connection) -> Iterator[str]:
    away = connection.status != "ok"
    yield from ("unknown" if away else state for state in connection.offer.states.values())
    yield from ("new" for _ in connection.offer.new)


def _tool(connection: Connection, definition: Definition) -> Tool:
    server = connection.server
    choice = server.choice(definition.name)
    name = tool_name(server.name, definition.name)
    parameters = usable_schema(definition.input_schema)
    try:
        check = check_of(name, parameters)
    except ValueError as error:
        raise ConfigurationError(
            f"{SETTING}: {server.name!r}: the tool {definition.name!r}: its schema {error}"
        ) from None
    return Tool(
        name=name,
        description=definition.description or definition.title or definition.name,
        parameters=parameters,
        timeout_seconds=choice.timeout_seconds or server.timeout_seconds,
        max_output_chars=server.max_output_chars,
        risk=choice.risk or server.risk,
        function=partial(connection.call, definition.name),
        validate=partial(_checked_call, connection, definition.name, check),
        effect=choice.effect or server.effect,
        when_tainted=choice.when_tainted or server.when_tainted,
    )


def _checked_call(connection: Connection, tool: str, check: Check, arguments: Mapping[str, Any]) -> Any:
    check(arguments)
    return connection.call(tool, arguments)


def _check_names(server: McpServer, pinned: Mapping[str, Definition]) -> None:
    """Raises ConfigurationError for two tools that would have the same name here."""
    counted = Counter(tool_name(server.name, name) for name in pinned)
    if repeated := [name for name, count in counted.items() if count > 1]:
        raise ConfigurationError(f"{SETTING}: two tools of {server.name!r} would be called {', '.join(repeated)}")


def quiet() -> None:
    """Keep the SDK's words to itself: they repeat what servers say."""
    for name in ("mcp", "client", "httpx2", "httpcore2"):
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)
