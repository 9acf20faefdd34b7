"""The tools a process has: those built in, and those of installed packages."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from importlib.metadata import EntryPoint, entry_points
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any

from app.errors import ConfigurationError, NotFound
from app.settings import Settings
from app.tools.built_in.calculator import calculator
from app.tools.built_in.clock import clock
from app.tools.built_in.hand_over import hand_over_to_human
from app.tools.built_in.outside import outside_tools
from app.tools.isolation.limits import ProcessLimits
from app.tools.tool import Tool

if TYPE_CHECKING:
    from app.tools.mcp.servers import McpServers

GROUP = "agent_api.tools"
"""The entry-point group; each entry point is a Tool, an iterable of Tools, or a module that holds some."""

BUILT_IN: tuple[Tool, ...] = (calculator, clock, hand_over_to_human)

UNCONFIGURED: Mapping[str, str] = {"read_file": "READ_FILE_ROOTS", "sql_query": "SQL_QUERY_URL"}
"""Tools that there are only with a setting, and which."""

Close = Callable[[], Awaitable[None]]


class Registry(Mapping[str, Tool]):
    """Tools by name, immutable. A name that is not there raises NotFound, not KeyError.

    Nobody has them for that: agents list theirs.
    """

    def __init__(self, tools: Iterable[Tool] = (), closing: Sequence[Close] = ()) -> None:
        """`closing` is called at the end of the process. Raises TypeError when two tools have the same name."""
        self._closing = closing
        by_name: dict[str, Tool] = {}
        for tool in tools:
            if by_name.setdefault(tool.name, tool) is not tool:
                raise TypeError(f"two tools are called {tool.name!r}")
        self._tools = MappingProxyType(by_name)

    def __getitem__(self, name: str) -> Tool:
        tool = self._tools.get(name)
        if tool is None:
            raise NotFound(f"There is no tool called {name[:64]!r}.")
        return tool

    def __contains__(self, name: object) -> bool:
        return name in self._tools

    def __iter__(self) -> Iterator[str]:
        return iter(self._tools)

    def __len__(self) -> int:
        return len(self._tools)

    def get(self, name: str, default: Any = None) -> Any:
        return self._tools.get(name, default)

    def subset(self, names: Iterable[str]) -> "Registry":
        """A registry of these tools only. Raises NotFound."""
        return Registry(self[name] for name in names)

    async def aclose(self) -> None:
        """Let go of what the tools hold."""
        for close in self._closing:
            await close()


def mcp_servers(settings: Settings) -> "McpServers | None":
    """Of MCP_SERVERS_FILE; None: it is not set. Raises ConfigurationError."""
    if settings.mcp_servers_file is None:
        return None
    from app.tools.mcp.servers import McpServers

    return McpServers(settings)


def load(settings: Settings, mcp: "McpServers | None" = None) -> Registry:
    """The built-in tools that are configured, those of installed packages, and those of MCP servers.

    Raises ConfigurationError naming the setting that a tool cannot work with, or the package and the entry point that
    is broken or repeats a name.
    """
    reading, closing = outside_tools(settings)
    tools = [*BUILT_IN, *reading]
    for entry_point in sorted(entry_points(group=GROUP), key=lambda e: (_package(e), e.name)):
        taken = {tool.name: tool for tool in tools}
        for tool in _tools_of(entry_point):
            if taken.setdefault(tool.name, tool) is not tool:
                raise _broken(entry_point, f"there already is a tool called {tool.name!r}")
        tools = list(taken.values())
    for tool in () if mcp is None else mcp.tools:
        if any(tool.name == other.name for other in tools):
            raise ConfigurationError(f"MCP_SERVERS_FILE: there already is a tool called {tool.name!r}")
        tools.append(tool)
    limits = ProcessLimits(settings.tool_process_bytes, settings.tool_process_cpu_seconds)
    return Registry([tool.within(limits) for tool in tools], closing)


def _tools_of(entry_point: EntryPoint) -> list[Tool]:
    try:
        found = entry_point.load()
        if isinstance(found, ModuleType):
            found = [value for value in vars(found).values() if isinstance(value, Tool)]
        tools = [found] if isinstance(found, Tool) or callable(found) else list(found)
    except (Exception, SystemExit) as error:
        raise _broken(entry_point, f"{type(error).__name__}: {error}") from error
    for tool in tools:
        if not isinstance(tool, Tool):
            raise _broken(entry_point, f"{tool!r} is not a tool; is @tool missing?")
    if not tools:
        raise _broken(entry_point, "it holds no tools")
    return tools


def _broken(entry_point: EntryPoint, problem: str) -> ConfigurationError:
    return ConfigurationError(
        f"The tools of package {_package(entry_point)!r} cannot be used: "
        f"entry point {entry_point.name!r} ({entry_point.value}): {problem}"
    )


def _package(entry_point: EntryPoint) -> str:
    return entry_point.dist.name if entry_point.dist else "unknown"
