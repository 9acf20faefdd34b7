"""Many runs on a few workers, one of which ends every now and then: all runs succeed, and the world cannot tell."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Iterator, Sequence, Set
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

from app.progress.service import Service as Client
from tests.durable.accounts import budget_faults, usage_faults
from tests.durable.approvals.people import deny_all
from tests.durable.cluster import Cluster, cluster
from tests.durable.deeds import Ledger, told_of
from tests.durable.followed import Followed, submit_and_follow
from tests.resilience.goals import Sheet, percentile
from tests.worker_process import WorkerProcess

SEED = 14
MOST_SECONDS_TO_RESUME = 15.0
CRASHES = 20
"""RUN_CRASHES: as often as workers are killed here, a run that meets several of these is no run that kills them."""


@dataclass(frozen=True)
class Plan:
    runs: int
    workers: int = 4
    at_once: int = 8
    """Runs of one worker."""
    tool_seconds: float = 0.3
    every_seconds: float = 2.0
    most_kills: float = inf
    limit_seconds: float = 600.0
    gently: bool = False
    """With SIGTERM, as a rollout does, instead of -9."""

    @property
    def title(self) -> str:
        what = f"{self.runs:,} runs of three tool calls on {self.workers} workers"
        return f"{what}, one {'told to leave' if self.gently else 'killed'} every {self.every_seconds:g} s"


@dataclass(frozen=True)
class Kill:
    """When a worker was killed, in time.monotonic(), and the runs that it had had."""

    at: float
    runs: Set[str]


async def killing(folder: Path, plan: Plan, **settings: Any) -> Sheet:
    sheet = Sheet(plan.title)
    options: Any = {"workers": plan.workers, "at_once": plan.at_once, "runs_per_user": plan.runs + 100}
    with cluster(folder, tool_seconds=plan.tool_seconds, **options, run_crashes=CRASHES, **settings) as (
        started,
        ledger,
    ):
        followed, kills, seconds = await _run_all(started, plan)
        _judge(sheet, followed, kills, ledger, plan)
        await _judge_accounts(sheet, started, followed)
        sheet.tell("runs a second", f"{len(followed) / seconds:.1f}")
    return sheet


async def _run_all(cluster: Cluster, plan: Plan) -> tuple[Sequence[Followed], Sequence[Kill], float]:
    """The runs as far as they came, when workers were killed, and how long all of it took."""
    chance = random.Random(SEED)
    kills: list[Kill] = []
    runs: list[Followed] = []
    messages = [f"{('steps', 'together')[number % 2]} {number}" for number in range(plan.runs)]
    await asyncio.to_thread(cluster.wait_until_working)
    begun = time.monotonic()
    person = asyncio.create_task(deny_all(cluster.redis_url))
    async with Client(cluster.api.url) as client:
        everything = asyncio.create_task(submit_and_follow(client, messages, runs))
        while not everything.done() and time.monotonic() - begun < plan.limit_seconds:
            await asyncio.wait([everything], timeout=plan.every_seconds)
            ready = [worker for worker in cluster.workers if worker.ready]
            if not everything.done() and len(ready) > 1 and len(kills) < plan.most_kills:
                kills.append(await asyncio.to_thread(_kill, cluster, chance.choice(ready), gently=plan.gently))
            _show(runs, plan.runs, kills, time.monotonic() - begun)
        everything.cancel()
        person.cancel()
        await asyncio.wait([everything, person])
        if not everything.cancelled():
            everything.result()
    return runs, kills, time.monotonic() - begun


def _kill(cluster: Cluster, worker: WorkerProcess, *, gently: bool) -> Kill:
    at = cluster.end(worker) if gently else cluster.kill(worker)
    begun = worker.log("agent.request.start", "agent.request.resumed")  # lines are written a little later
    return Kill(at, {line["run_id"] for line in begun})


def _show(runs: Sequence[Followed], count: int, kills: Sequence[Kill], seconds: float) -> None:
    over = sum(run.over for run in runs)
    resumed = sum(len(run.resumptions) for run in runs)
    told = f"{len(runs):,} of {count:,} submitted, {over:,} over, {len(kills)} workers ended, {resumed} resumed"
    print(f"  {seconds:4.0f} s: {told}", flush=True)


def _judge(sheet: Sheet, runs: Sequence[Followed], kills: Sequence[Kill], ledger: Ledger, plan: Plan) -> None:
    over = [run for run in runs if run.over]
    states = Counter(run.record["status"] for run in over)
    sheet.at_least("succeeded", states["succeeded"], plan.runs)
    sheet.none(
        "others",
        [
            f"{run.run_id}: {run.record['status']} {run.record['error']}"
            for run in over
            if run.record["status"] != "succeeded"
        ],
    )
    records = {run.run_id: run.record for run in over if run.record["status"] == "succeeded"}
    sheet.none("side effects that are not as they are told", ledger.faults(records))
    sheet.none("streams with a gap, a double or two ends", [fault for run in over for fault in run.faults()])
    waits = [*_waits(kills, runs)]
    sheet.at_most("until a run was resumed, 99th percentile", percentile(waits, 0.99), MOST_SECONDS_TO_RESUME, " s")
    sheet.tell("the same, median and longest", f"{percentile(waits, 0.5):.1f} s, {max(waits, default=0):.1f} s")
    if not plan.gently:
        sheet.at_least("runs that were resumed", sum(bool(run.resumptions) for run in runs), 1)
    sheet.tell("workers that ended, resumptions", f"{len(kills)}, {sum(len(run.resumptions) for run in runs)}")
    unknown = [run_id for run_id, record in records.items() if told_of(record).get("send") == "unknown"]
    if plan.gently:
        sheet.none("runs that count it as a crash", [run_id for run_id, run in records.items() if run["crashes"]])
        sheet.none("letters of which it is unknown whether they were sent", unknown)
        return
    again = Counter((deed.run_id, deed.tool) for deed in ledger.deeds())
    sheet.tell("letters of which it is unknown whether they were sent", f"{len(unknown)}")
    sheet.tell("charges and looks that were made again", f"{sum(count > 1 for count in again.values())}")


def _waits(kills: Sequence[Kill], runs: Sequence[Followed]) -> Iterator[float]:
    """From each kill to when a reader saw that the run was resumed; nothing of runs that were over by then."""
    by_id = {run.run_id: run.resumptions for run in runs}
    for kill in kills:
        for run_id in kill.runs:
            if later := [at - kill.at for at in by_id.get(run_id, ()) if at > kill.at]:
                yield later[0]


async def _judge_accounts(sheet: Sheet, cluster: Cluster, runs: Sequence[Followed]) -> None:
    usage = await asyncio.to_thread(lambda: cluster.api.client.get("/usage").json())
    sheet.none("tokens of answers and of /usage that differ", usage_faults(usage, [run.record for run in runs]))
    sheet.none("budgets that are not what was used, to the unit", budget_faults(usage))
