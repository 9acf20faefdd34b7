"""A caller's runs as a table."""

import sys
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from app.progress.json_lines import write_json
from app.progress.printable import on_one_line
from app.progress.service import Service
from app.progress.wording import seconds

_PAGE = 100
_ROW = "{:<36}  {:<9}  {:<16}  {:<20}  {}\n"


async def list_runs(service: Service, chosen: Mapping[str, str], *, limit: int, as_json: bool = False) -> int:
    """Print so many runs, or all; returns the exit status."""
    cursor: str | None = ""
    while limit > 0 and cursor is not None:
        page = {"cursor": cursor} if cursor else {}
        told = await service.get("/runs", **chosen, **page, limit=str(min(limit, _PAGE)))
        if not cursor and not as_json:
            sys.stdout.write(_ROW.format("RUN", "STATUS", "AGENT", "CREATED (UTC)", "TOOK"))
        for run in told["runs"]:
            write_json(run) if as_json else sys.stdout.write(_row(run))
        limit -= len(told["runs"])
        cursor = told["next"] if told["runs"] else None
    return 0


def _row(run: Mapping[str, Any]) -> str:
    created = run["created_at"][:19].replace("T", " ")
    cells = (run["run_id"], run["status"], run["agent"], created, _took(run))
    return _ROW.format(*(on_one_line(str(cell)) for cell in cells))


def _took(run: Mapping[str, Any]) -> str:
    begun, ended = run["started_at"], run["ended_at"]
    if not begun or not ended:
        return ""
    return seconds((datetime.fromisoformat(ended) - datetime.fromisoformat(begun)).total_seconds())
