"""What an MCP server offers beside what is pinned, in words for the person who approves it."""

import asyncio
import json
from collections.abc import Collection, Mapping
from typing import Any

from mcp import Client
from msgspec import Struct, structs

from app.settings import Settings
from app.tls import client_context
from app.tools.mcp.arguments import check_of
from app.tools.mcp.definition import Definition, problem_of, tool_name
from app.tools.mcp.looking import list_tools, reason_of
from app.tools.mcp.schema import usable_schema
from app.tools.mcp.servers import quiet
from app.tools.mcp.servers_file import McpServer
from app.tools.mcp.transports import transport_of

CONNECT_SECONDS = 10.0


class Offers(Struct, frozen=True):
    lines: list[str]
    pinned: dict[str, Definition]
    """What is pinned once this is approved."""
    different: int = 0
    """Tools that are not pinned as they are."""
    problems: int = 0
    """Tools that cannot be pinned."""


async def offers_of(
    server: McpServer, settings: Settings, pins: Mapping[str, Definition], only: Collection[str] | None
) -> Offers:
    """`only` are the server's names of the tools that are looked at; the others stay as they are pinned."""
    quiet()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            async with Client(
                transport_of(server, client_context(settings.tls_strict), _nothing), cache=None
            ) as client:
                listed = await list_tools(client)
    except Exception as error:  # noqa: BLE001 - told, and the other servers are asked
        return Offers([f"{server.name}: cannot be asked: {reason_of(error)}"], dict(pins), problems=1)
    return compared(server, [each for each in listed if server.allows(each.name)], pins, only)


def compared(
    server: McpServer, listed: list[Definition], pins: Mapping[str, Definition], only: Collection[str] | None = None
) -> Offers:
    lines, pinned = [], dict(pins)
    different = problems = 0
    names = [tool_name(server.name, each.name) for each in listed]
    for definition in listed:
        if only and definition.name not in only:
            continue
        name, before = tool_name(server.name, definition.name), pins.get(definition.name)
        if before == definition:
            lines.append(f"{shown(name)}: as pinned")
            continue
        different += 1
        problem = _problem(server, definition) or ("two are called so" if names.count(name) > 1 else None)
        lines.append(f"{shown(name)}: {'new' if before is None else 'CHANGED'}")
        if problem:
            lines.append(f"    CANNOT BE PINNED: {problem}")
        lines += _details(before, definition)
        if problem:
            problems += 1
            pinned.pop(definition.name, None)
        else:
            pinned[definition.name] = definition
    gone = [name for name in pins if name not in {each.name for each in listed} and (not only or name in only)]
    for name in gone:
        lines.append(f"{shown(tool_name(server.name, name))}: GONE")
        del pinned[name]
    return Offers(lines, pinned, different + len(gone), problems)


def shown(text: str) -> str:
    """As one line, with every character that could hide something, or steer a terminal, in its escaped form."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _problem(server: McpServer, definition: Definition) -> str | None:
    if found := problem_of(definition, server.name):
        return found
    try:
        check_of(definition.name, usable_schema(definition.input_schema))
    except ValueError as error:
        return f"its schema {error}"
    return None


def _details(before: Definition | None, now: Definition) -> list[str]:
    """Of a changed tool, only what has changed."""
    was: dict[str, Any] = {} if before is None else structs.asdict(before)
    lines = []
    for field, value in structs.asdict(now).items():
        if field == "name" or value == was.get(field, None if before is None else ...) or value in ("", None):
            continue
        lines.append(
            f"    {field}: {shown(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))}"
        )
        if before is not None:
            old = was[field]
            lines.append(f"        was: {shown(old if isinstance(old, str) else json.dumps(old, ensure_ascii=False))}")
    return lines


def _nothing() -> None:
    """A program that ends ends the listing, too."""
