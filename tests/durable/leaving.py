"""One run whose worker goes away while nothing else happens: killed, or stopped and continued."""

import asyncio
import signal
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.progress.service import Service as Client
from tests.durable.cluster import Cluster, cluster
from tests.durable.followed import Followed, follow_to_its_end, submit
from tests.durable.killing import MOST_SECONDS_TO_RESUME
from tests.resilience.goals import Sheet
from tests.worker_process import WorkerProcess

REST_SECONDS = 1.5
_LAST_WORDS_SECONDS = 3.0

Disturb = Callable[[Sheet, Cluster, Followed, int, asyncio.Task[None]], Awaitable[None]]
"""Does something to the process with this id, which works on the run, and waits for the run's end."""


async def quiet(folder: Path) -> Sheet:
    """Its worker is killed, and no other request rings the queue."""
    sheet = Sheet("a quiet queue: one run, its worker killed")
    return await _one_run(folder, sheet, _kill)


async def stopped(folder: Path, *, seconds: float) -> Sheet:
    """Its worker stands still for longer than its lease, and wakes up when another has done the run."""
    sheet = Sheet(f"one run, its worker stopped for {seconds:g} s and continued")

    async def stop(sheet: Sheet, cluster: Cluster, run: Followed, pid: int, following: asyncio.Task[None]) -> None:
        worker = cluster.worker_of(pid)
        worker.signal(signal.SIGSTOP)
        at = time.monotonic()
        await following
        sheet.at_most("until another worker resumed it", _resumed(run, at), MOST_SECONDS_TO_RESUME, " s")
        async with Client(cluster.api.url) as client:
            before = await client.get(f"/runs/{run.run_id}")
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - at)))
            worker.signal(signal.SIGCONT)
            await asyncio.sleep(_LAST_WORDS_SECONDS)
            after = await client.get(f"/runs/{run.run_id}")
            again = Followed(run.run_id)
            await follow_to_its_end(client, again)
            sheet.none("what the worker that woke up has changed", [] if before == after else [after])
            sheet.none("events that are others now", set(map(_shown, run.events)) ^ set(map(_shown, again.events)))
            await _judge_the_next_run(sheet, cluster, client, worker)

    return await _one_run(folder, sheet, stop)


async def _judge_the_next_run(sheet: Sheet, cluster: Cluster, client: Client, worker: WorkerProcess) -> None:
    """The worker that woke up is alone now, and does what it is for."""
    for other in [each for each in cluster.workers if each is not worker]:
        await asyncio.to_thread(cluster.kill, other, replace=False)
    run = await submit(client, "rest 0.1")
    await follow_to_its_end(client, run)
    sheet.none("states of a run that it does then, but succeeded", {run.record["status"]} - {"succeeded"})


async def _kill(sheet: Sheet, cluster: Cluster, run: Followed, pid: int, following: asyncio.Task[None]) -> None:
    at = cluster.kill(cluster.worker_of(pid), replace=False)
    await following
    sheet.at_most("from kill to resumption", _resumed(run, at), MOST_SECONDS_TO_RESUME, " s")


async def _one_run(folder: Path, sheet: Sheet, disturb: Disturb) -> Sheet:
    with cluster(folder, tool_seconds=0.2, workers=2, at_once=2) as (started, ledger):
        await asyncio.to_thread(started.wait_until_working)
        async with Client(started.api.url) as client:
            run = await submit(client, f"rest {REST_SECONDS}")
            following = asyncio.create_task(follow_to_its_end(client, run))
            deed = await asyncio.to_thread(ledger.wait_for, "rest", run.run_id)
            await disturb(sheet, started, run, deed.process, following)
        sheet.none("states other than succeeded", [] if run.record["status"] == "succeeded" else [run.record])
        sheet.none("a gap, a double, two ends", run.faults())
    return sheet


def _resumed(run: Followed, since: float) -> float:
    return next((at - since for at in run.resumptions), float("inf"))


def _shown(arrived: tuple[float, object]) -> str:
    return repr(arrived[1])
