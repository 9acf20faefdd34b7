"""`python -m app approvals …`: what waits for a person at a running service, and the decision."""

from argparse import Namespace
from typing import Any

from app.progress.arguments import count, path_part
from app.progress.service_command import add_command

_ANY = "all"


def add_to(commands: Any) -> None:
    """Add `approvals` to the command line's commands."""
    approvals = commands.add_parser("approvals", help="list, show and decide on tool calls that wait for a person")
    approvals = approvals.add_subparsers(required=True, metavar="COMMAND")
    listing = add_command(approvals, "list", _list, "list the calls that wait for a decision, newest first")
    listing.add_argument("--status", default="pending", help=f"in this state instead: approved, denied, …, or {_ANY}")
    listing.add_argument("--limit", type=count, default=20, help="how many (20)")
    listing.add_argument("--json", action="store_true", help="one line of JSON an approval")
    show = add_command(approvals, "show", _show, "show a call exactly as it would be made")
    show.add_argument("id", type=path_part, help="the approval")
    show.add_argument("--json", action="store_true", help="as a line of JSON")
    for name, says in (("approve", "have the call made"), ("deny", "have the call not made")):
        decide = add_command(approvals, name, _decide, f"{says}; leaves with 1 when it was decided on before")
        decide.add_argument("id", type=path_part, help="the approval")
        decide.add_argument("--reason", default="", metavar="TEXT", help="why, for the record")
        decide.set_defaults(decision=name)


async def _list(service: Any, options: Namespace) -> int:
    from app.progress.approvals import list_approvals

    status = "" if options.status == _ANY else options.status
    return await list_approvals(service, status, limit=options.limit, as_json=options.json)


async def _show(service: Any, options: Namespace) -> int:
    from app.progress.approvals import show

    return await show(service, f"/approvals/{options.id}", as_json=options.json)


async def _decide(service: Any, options: Namespace) -> int:
    from app.progress.approvals import decide

    return await decide(service, f"/approvals/{options.id}", options.decision, options.reason)
