"""`python -m app tools pin`: shows what MCP servers offer beside what is pinned, and pins it."""

import asyncio
import sys
from argparse import Namespace
from typing import Any

from app.errors import ConfigurationError
from app.settings import load


def add_to(commands: Any) -> None:
    """Add `tools` to the command line's commands."""
    tools = commands.add_parser("tools", help="look after the tools of MCP servers").add_subparsers(required=True)
    pin = tools.add_parser("pin", help="show what the servers of MCP_SERVERS_FILE offer and what has changed")
    pin.add_argument("--write", action="store_true", help="and approve it: write it to the file with the pins")
    pin.add_argument("--server", action="append", help="only of this server; can be repeated")
    pin.add_argument("--tool", action="append", help="only this tool, by the server's own name; can be repeated")
    pin.set_defaults(run=_pin_and_tell)


def _pin_and_tell(options: Namespace) -> int:
    try:
        return asyncio.run(_pin(options))
    except ConfigurationError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 2
    except OSError as error:
        print(f"the pins cannot be written: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 2


async def _pin(options: Namespace) -> int:
    """0: all that is asked for is pinned; 1: something is not."""
    from app.tools.mcp.offers import offers_of  # no other command needs the SDK
    from app.tools.mcp.pins import read_pins, write_pins
    from app.tools.mcp.servers_file import servers_of

    settings = load()
    read, path = servers_of(settings)
    pins = {server: dict(tools) for server, tools in read_pins(path).items()}
    left = 0
    for server in read.servers:
        if options.server and server.name not in options.server:
            continue
        offers = await offers_of(server, settings, pins.get(server.name, {}), options.tool)
        for line in offers.lines:
            print(line)  # noqa: T201
        left += offers.problems
        if options.write:
            pins[server.name] = offers.pinned
        else:
            left += offers.different
    if options.write:
        write_pins(path, pins)
        print(f"written to {path}; services read it when they start")  # noqa: T201
    return 1 if left else 0
