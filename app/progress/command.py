"""`python -m app runs …` and `batches …`: ask a running service, over HTTP and with a key like any client."""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from typing import Any

from app.progress.arguments import count, path_part
from app.progress.service_command import add_command

_ENDS = """Leaves with 0 when the run succeeded, 1 when it failed, 2 when it cannot be asked for, 3 when it was
cancelled or expired. Ctrl-C ends the watching, not the run."""


def add_to(commands: Any) -> None:
    """Add `runs` and `batches` to the command line's commands."""
    runs = commands.add_parser("runs", help="watch, list, submit and cancel runs of a service")
    runs = runs.add_subparsers(required=True, metavar="COMMAND")
    watch = add_command(runs, "watch", _watch, "show a run until it is over", epilog=_ENDS)
    watch.add_argument("id", type=path_part, help="the run")
    _add_forms(watch)
    listing = add_command(runs, "list", _list, "list your runs, newest first")
    listing.add_argument("--session", metavar="ID", help="of this session alone")
    listing.add_argument("--status", help="in this state alone: queued, running, waiting, succeeded, …")
    listing.add_argument("--limit", type=count, default=20, help="how many (20)")
    listing.add_argument("--json", action="store_true", help="one line of JSON a run")
    submit = add_command(runs, "submit", _submit, "have a run done in the background; prints its id")
    submit.add_argument("message", help="the task; `-` reads it from stdin")
    for name in ("agent", "model", "session"):
        submit.add_argument(f"--{name}", metavar="ID" if name == "session" else "NAME")
    cancel = add_command(runs, "cancel", _cancel, "end a run; leaves with 1 when it was over")
    cancel.add_argument("id", type=path_part, help="the run")
    cancel.set_defaults(kind="runs")
    _add_batches(commands)


def _add_batches(commands: Any) -> None:
    batches = commands.add_parser("batches", help="watch and cancel batches of a service")
    batches = batches.add_subparsers(required=True, metavar="COMMAND")
    watch = add_command(
        batches,
        "watch",
        _watch_batch,
        "show a batch until it is over",
        epilog="Leaves with 0 when all inputs succeeded, 1 when one did not, 2 when it cannot be asked for, 3 when the "
        "batch was cancelled or expired.",
    )
    cancel = add_command(batches, "cancel", _cancel, "end a batch; leaves with 1 when it was over")
    for command in (watch, cancel):
        command.add_argument("id", type=path_part, help="the batch")
        command.set_defaults(kind="batches")
    _add_forms(watch)


def _add_forms(watch: ArgumentParser) -> None:
    forms = watch.add_mutually_exclusive_group()
    forms.add_argument("--plain", action="store_true", help="lines, as without a terminal or with NO_COLOR")
    forms.add_argument("--json", action="store_true", help="each event as a line of JSON")


async def _watch(service: Any, options: Namespace) -> int:
    from app.progress.watching import watch

    try:
        return await watch(service, options.id, plain=options.plain, as_json=options.json)
    except asyncio.CancelledError:
        print(f"The run continues. Come back with: python -m app runs watch {options.id}", file=sys.stderr)  # noqa: T201
        raise


async def _watch_batch(service: Any, options: Namespace) -> int:
    from app.progress.batch import watch
    from app.progress.watching import is_plain

    return await watch(service, options.id, plain=is_plain(wanted=options.plain), as_json=options.json)


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

    return await cancel(service, f"/{options.kind}/{options.id}")
