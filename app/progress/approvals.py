"""Tool calls that wait for a person: listed, shown, and decided on."""

import json
import sys
from collections.abc import Mapping
from typing import Any, Literal

from app.progress.json_lines import write_json
from app.progress.printable import on_one_line
from app.progress.service import Refused, Service

Shown = Mapping[str, Any]

_PAGE = 100
_ROW = "{:<36}  {:<9}  {:<20}  {:<16}  {:<16}  {}\n"


async def list_approvals(service: Service, status: str, *, limit: int, as_json: bool = False) -> int:
    """Print so many approvals, or all; returns the exit status. `status` is empty for any."""
    cursor: str | None = ""
    while limit > 0 and cursor is not None:
        page = {"cursor": cursor} if cursor else {}
        chosen = {"status": status} if status else {}
        told = await service.get("/approvals", **chosen, **page, limit=str(min(limit, _PAGE)))
        if not cursor and not as_json:
            sys.stdout.write(_ROW.format("APPROVAL", "STATUS", "TOOL", "AGENT", "REQUESTED BY", "EXPIRES (UTC)"))
        for approval in told["approvals"]:
            write_json(approval) if as_json else sys.stdout.write(_row(approval))
        limit -= len(told["approvals"])
        cursor = told["next"] if told["approvals"] else None
    return 0


async def show(service: Service, path: str, *, as_json: bool = False) -> int:
    """Print the call exactly as it would be made; returns the exit status."""
    approval = await service.get(path)
    if as_json:
        write_json(approval)
        return 0
    for name in ("approval_id", "status", "run_id", "agent", "requested_by", "tool", "risk", "reason", "detail"):
        _say(name, approval[name])
    _say("expires_at", approval["expires_at"])
    for name in ("decided_by", "decided_at", "comment"):
        if approval[name] is not None:
            _say(name, approval[name])
    sys.stdout.write(f"arguments:\n{json.dumps(approval['arguments'], indent=2)}\n")  # ASCII, and nothing is left out
    return 0


async def decide(service: Service, path: str, decision: Literal["approve", "deny"], reason: str) -> int:
    """Print what the approval is then; returns the exit status, 1 when it was decided on before or has changed."""
    try:
        approval = await service.post(path, {"decision": decision, "reason": reason})
    except Refused as error:
        if error.status != 409:
            raise
        print(on_one_line(str(error.problem.get("detail"))))  # noqa: T201
        return 1
    print(on_one_line(approval["status"]))  # noqa: T201
    return 0


def _row(approval: Shown) -> str:
    expires = approval["expires_at"][:19].replace("T", " ")
    names = (approval[name] for name in ("approval_id", "status", "tool", "agent", "requested_by"))
    return _ROW.format(*(on_one_line(str(cell)) for cell in (*names, expires)))


def _say(name: str, value: Any) -> None:
    sys.stdout.write(f"{name + ':':<14}{on_one_line(str(value), 2_000)}\n")
