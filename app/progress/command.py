"""`python -m app runs …` and `batches …`: ask a running service, over HTTP and with a key like any client."""

import asyncio
import os
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from app.errors import ConfigurationError
from app.progress.arguments import count, path_part, read_key, url

DEFAULT_URL = "http://127.0.0.1:8000"
USAGE, INTERRUPTED = 2, 130
"""Exit statuses: nothing to do or nobody to ask, as argparse has it; Ctrl-C, as shells have it."""

_ENDS = (
    "Leaves with 0 when the run succeeded, 1 when it failed, 2 when it cannot be asked for, 3 when it was cancelled "
)
_ENDS += "or expired. Ctrl-C ends the watching, not the run."


def add_to(commands: Any) -> None:
    """Add `runs` and `batches` to the command line's commands."""
    runs = commands.add_parser("runs", help="watch, list, submit and cancel runs of a service")
    runs = runs.add_subparsers(required=True, metavar="COMMAND")
    watch = _asking(runs, "watch", _watch, "show a run until it is over", epilog=_ENDS)
    watch.add_argument("id", type=path_part, help="the run")
    _add_forms(watch)
    listing = _asking(runs, "list", _list, "list your runs, newest first")
    listing.add_argument("--session", metavar="ID", help="of this session alone")
    listing.add_argument("--status", help="in this state alone: queued, running, waiting, succeeded, …")
    listing.add_argument("--limit", type=count, default=20, help="how many (20)")
    listing.add_argument("--json", action="store_true", help="one line of JSON a run")
    submit = _asking(runs, "submit", _submit, "have a run done in the background; prints its id")
    submit.add_argument("message", help="the task; `-` reads it from stdin")
    for name in ("agent", "model", "session"):
        submit.add_argument(f"--{name}", metavar="ID" if name == "session" else "NAME")
    cancel = _asking(runs, "cancel", _cancel, "end a run; leaves with 1 when it was over")
    cancel.add_argument("id", type=path_part, help="the run")


def _asking(
    commands: Any, name: str, ask: Callable[[Any, Namespace], Awaitable[int]], says: str, **more: Any
) -> ArgumentParser:
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


def _add_forms(watch: ArgumentParser) -> None:
    forms = watch.add_mutually_exclusive_group()
    forms.add_argument("--plain", action="store_true", help="lines, as without a terminal or with NO_COLOR")
    forms.add_argument("--json", action="store_true", help="each event as a line of JSON")


def _run(ask: Callable[[Any, Namespace], Awaitable[int]], options: Namespace) -> int:
    """The exit status."""
    from app.progress.service import Refused, Unreachable

    try:
        return asyncio.run(_ask(ask, options))
    except KeyboardInterrupt:
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


async def _ask(ask: Callable[[Any, Namespace], Awaitable[int]], options: Namespace) -> int:
    from app.progress.service import Service

    async with Service(options.url, read_key(options.key_file)) as service:
        return await ask(service, options)


async def _watch(service: Any, options: Namespace) -> int:
    from app.progress.watching import watch

    try:
        return await watch(service, options.id, plain=options.plain, as_json=options.json)
    except asyncio.CancelledError:
        print(f"The run continues. Come back with: python -m app runs watch {options.id}", file=sys.stderr)  # noqa: T201
        raise


async def _list(service: Any, options: Namespace) -> int:
    from app.progress.listing import list_runs

    chosen = {"session_id": options.session, "status": options.status}
    return await list_runs(
        service, {name: value for name, value in chosen.items() if value}, limit=options.limit, as_json=options.json
    )


async def _submit(service: Any, options: Namespace) -> int:
    from app.progress.asking import submit

    message = sys.stdin.read() if options.message == "-" else options.message
    fields = {"agent": options.agent, "model": options.model, "session_id": options.session}
    return await submit(service, message, {name: value for name, value in fields.items() if value})


async def _cancel(service: Any, options: Namespace) -> int:
    from app.progress.asking import cancel

    return await cancel(service, f"/runs/{options.id}")
