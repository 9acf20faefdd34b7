"""Watch a batch until all of its inputs have a result."""

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any

from app.progress.following import LONGEST_WAIT_SECONDS, PATIENCE_SECONDS
from app.progress.json_lines import write_json
from app.progress.printable import on_one_line
from app.progress.service import Service, Unreachable
from app.progress.wording import seconds

POLL_SECONDS = 1.0
OVER = frozenset({"ended", "cancelled", "expired"})
OUTCOMES = ("succeeded", "failed", "cancelled", "expired")

Batch = Mapping[str, Any]


async def watch(service: Service, batch_id: str, *, plain: bool = False, as_json: bool = False) -> int:
    """Show the batch each time that it has changed; returns the exit status. Raises Refused and Unreachable."""
    batch: Batch = {}
    async with aclosing(_states(service, batch_id)) as states:
        if as_json or plain:
            async for batch in states:
                write_json(batch) if as_json else _say(batch)
        else:
            batch = await _draw(states)
    if batch["status"] != "ended":
        return 3
    return 1 if batch["counts"].get("succeeded", 0) < _total(batch) else 0


async def _states(service: Service, batch_id: str) -> AsyncGenerator[Batch]:
    """Each state of the batch that is another than the one before, to its end."""
    before: Batch = {}
    wait, alive = POLL_SECONDS, time.monotonic()
    while True:
        try:
            batch = await service.get(f"/batches/{batch_id}")
        except Unreachable as error:
            if not before or time.monotonic() - alive > PATIENCE_SECONDS:
                raise
            wait = max(error.retry_after, min(wait * 2, LONGEST_WAIT_SECONDS))
        else:
            wait, alive = POLL_SECONDS, time.monotonic()
            if batch != before:
                yield batch
            before = batch
            if batch["status"] in OVER:
                return
        await asyncio.sleep(wait)


def _total(batch: Batch) -> int:
    return int(batch["counts"].get("total", 0))


def _done(batch: Batch) -> int:
    return sum(int(batch["counts"].get(outcome, 0)) for outcome in OUTCOMES)


def _summary(batch: Batch) -> str:
    counts = ", ".join(
        f"{batch['counts'][outcome]:,} {outcome}" for outcome in OUTCOMES if batch["counts"].get(outcome)
    )
    return f"{on_one_line(batch['status'])}: {_done(batch):,} of {_total(batch):,}{f' ({counts})' if counts else ''}"


def _say(batch: Batch) -> None:
    sys.stdout.write(f"{time.strftime('%H:%M:%S')} {_summary(batch)}\n")
    sys.stdout.flush()


async def _draw(states: AsyncGenerator[Batch]) -> Batch:
    """A bar that grows; returns the last state."""
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    batch: Batch = {}
    begun = time.monotonic()
    columns = (BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TextColumn("{task.description}", markup=False))
    with Progress(*columns, TimeRemainingColumn(), transient=True) as bar:
        task = bar.add_task("", total=None)
        async for batch in states:
            bar.update(task, description=_summary(batch), total=_total(batch), completed=_done(batch))
    sys.stdout.write(f"{_summary(batch)}, watched for {seconds(time.monotonic() - begun)}\n")
    return batch
