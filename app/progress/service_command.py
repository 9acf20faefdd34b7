"""A command that asks a running service: where that is, with which key, and what is said when it cannot be asked."""

import asyncio
import os
import signal
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError
from app.progress.arguments import read_key, url

DEFAULT_URL = "http://127.0.0.1:8000"
USAGE, INTERRUPTED = 2, 130
"""Exit statuses: nothing to do or nobody to ask, as argparse has it; Ctrl-C, as shells have it."""

Ask = Callable[[Any, Namespace], Awaitable[int]]
"""Asks the Service; returns the exit status."""


def add_command(commands: Any, name: str, ask: Ask, says: str, **more: Any) -> ArgumentParser:
    """A command that is given a service."""
    command: ArgumentParser = commands.add_parser(name, help=says, description=f"{says[0].upper()}{says[1:]}.", **more)
    command.add_argument(
        "--url",
        type=url,
        default=os.environ.get("AGENT_API_URL", DEFAULT_URL),
        help=f"where the service is; else AGENT_API_URL, else {DEFAULT_URL}",
    )
    command.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="holds the API key or token; else AGENT_API_KEY does",
    )
    command.set_defaults(run=lambda options: _run(ask, options))
    return command


def _run(ask: Ask, options: Namespace) -> int:
    """The exit status."""
    from app.progress.service import Refused, Unreachable

    try:
        return asyncio.run(_ask(ask, options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except BrokenPipeError:  # `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return INTERRUPTED
    except (Refused, ConfigurationError) as error:
        return _complain(str(error))
    except Unreachable as error:
        return _complain(f"{options.url} cannot be asked: {error}")


def _complain(why: str) -> int:
    from app.progress.printable import on_one_line

    print(on_one_line(why, 1_000), file=sys.stderr)  # noqa: T201
    return USAGE


async def _ask(ask: Ask, options: Namespace) -> int:
    from app.progress.service import Service

    _cancel_at_ctrl_c()
    async with Service(options.url, read_key(options.key_file)) as service:
        return await ask(service, options)


def _cancel_at_ctrl_c() -> None:
    """asyncio's own handler is heard only when something else happens, where the signal comes just before the loop
    waits: this one wakes the loop."""
    task = asyncio.current_task()
    if task is not None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, task.cancel)
