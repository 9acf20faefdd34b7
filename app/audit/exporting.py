"""Writes the record to stdout page by page, and says on a terminal how far it is."""

import json
import sys
import time
from datetime import datetime
from typing import Any

from app.audit.stream import Stored, Stream
from app.state.store import Store

_TELL_EVERY_SECONDS = 2.0


async def export(store: Store, since: datetime | None, until: datetime | None) -> int:
    """Returns the exit status. Raises StateUnavailable."""
    first = "-" if since is None else str(_milliseconds(since))
    last = "+" if until is None else f"({_milliseconds(until)}"
    records, told = 0, time.monotonic()
    async for page in Stream(store).pages(first, last):
        sys.stdout.write("".join([json.dumps(_shown(stored)) + "\n" for stored in page]))
        records += len(page)
        if sys.stderr.isatty() and time.monotonic() - told >= _TELL_EVERY_SECONDS:
            told = time.monotonic()
            print(f"{records:,} records, to {page[-1].id}", file=sys.stderr)  # noqa: T201
    sys.stdout.flush()
    return 0


def _shown(stored: Stored) -> dict[str, Any]:
    """The record with its place in the stream and its hash; as text where it is none."""
    try:
        record = json.loads(stored.data)
    except ValueError:
        record = {"unreadable": stored.data.decode("utf-8", "replace")}
    return {"id": stored.id, "hash": stored.hash, **(record if isinstance(record, dict) else {"unreadable": record})}


def _milliseconds(moment: datetime) -> int:
    return max(0, round(moment.timestamp() * 1000))
