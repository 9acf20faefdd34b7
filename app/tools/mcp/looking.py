"""What an MCP server offers, beside what was pinned."""

from collections.abc import Callable, Mapping
from typing import Literal

import mcp_types as types
from mcp import Client
from msgspec import Struct

from app.tools.mcp.definition import Definition

MAX_PAGES = 20
MAX_TOOLS = 500

ToolState = Literal["on", "changed", "gone", "unknown"]


class Offer(Struct, frozen=True):
    states: Mapping[str, ToolState]
    """Of the pinned tools, by the server's own names."""
    new: tuple[str, ...] = ()
    """Tools that nobody has pinned."""


async def look(client: Client, pinned: Mapping[str, Definition], allows: Callable[[str], bool]) -> Offer:
    """Raises what `list_tools` does. A tool that is offered twice counts as changed."""
    listed = await list_tools(client)
    names = [definition.name for definition in listed]
    found = {definition.name: definition for definition in listed if names.count(definition.name) == 1}
    states = {name: _state(each, names, found.get(name)) for name, each in pinned.items()}
    return Offer(states, tuple([name for name in dict.fromkeys(names) if name not in pinned and allows(name)]))


async def list_tools(client: Client) -> list[Definition]:
    """What the server offers. Raises what the SDK does, and ValueError where that is too much."""
    found: list[Definition] = []
    cursor: str | None = None
    for _ in range(MAX_PAGES):
        page = await client.session.list_tools(params=types.PaginatedRequestParams(cursor=cursor) if cursor else None)
        found += map(_definition, page.tools)
        if len(found) > MAX_TOOLS:
            break
        cursor = page.next_cursor
        if not cursor:
            return found
    raise ValueError("the server offers too many tools")


def reason_of(error: BaseException) -> str:
    """A word for the log: the first class of what went wrong."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return type(error).__name__


def _definition(tool: types.Tool) -> Definition:
    annotations = tool.annotations
    return Definition(
        tool.name,
        tool.title or "",
        tool.description or "",
        tool.input_schema,
        tool.output_schema,
        None if annotations is None else annotations.model_dump(by_alias=True, mode="json", exclude_none=True),
    )


def _state(pinned: Definition, names: list[str], found: Definition | None) -> ToolState:
    if pinned.name not in names:
        return "gone"
    return "on" if found is not None and found.digest == pinned.digest else "changed"
