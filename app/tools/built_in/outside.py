"""The built-in tools that reach outside of the service. Agents have them only where they are listed."""

from collections.abc import Awaitable, Callable, Sequence

from app.settings import Settings
from app.tools.built_in.http_get import HttpGet
from app.tools.tool import Tool


def outside_tools(settings: Settings) -> tuple[Sequence[Tool], Sequence[Callable[[], Awaitable[None]]]]:
    """Those that are configured, and what is to be called at the end of the process. Raises ConfigurationError."""
    http = HttpGet(settings)
    tools = [http.tool()]
    if settings.read_file_roots:
        from app.tools.built_in.read_file import read_file_tool

        tools.append(read_file_tool(settings.read_file_roots))
    if settings.sql_query_url is not None:
        from app.tools.built_in.sql.query import sql_query_tool

        tools.append(sql_query_tool(settings))
    return tools, [http.aclose]
