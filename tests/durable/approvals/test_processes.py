"""Real workers: one is killed with -9 between a decision and its call, one is stopped and continued. The world cannot
tell: each effect happened once, or is said to be unknown."""

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from app.durable.approvals.record import Approval
from app.progress.service import Service as Client
from app.state.redis import connect
from tests import redis_server
from tests.durable.accounts import budget_faults, usage_faults
from tests.durable.approvals.people import BOB, People
from tests.durable.cluster import Cluster, cluster
from tests.durable.deeds import Ledger, told_of
from tests.durable.followed import submit

pytestmark = pytest.mark.skipif(not redis_server.BINARY, reason=redis_server.MISSING)

LEASE_SECONDS = 1
TOOL_SECONDS = 1.0
PATIENCE = 30.0


class World:
    """The cluster, the person who decides, and one run."""

    def __init__(self, started: Cluster, ledger: Ledger, client: Client, people: People) -> None:
        self.cluster, self.ledger, self.client, self.people = started, ledger, client, people

    async def waits(self, tools: set[str]) -> Sequence[Approval]:
        """The run waits for a person, about calls of these tools."""
        end = time.monotonic() + PATIENCE
        while True:
            asked = await self.people.asked()
            if {approval.tool for approval in asked} == tools:
                return asked
            assert time.monotonic() < end, asked
            await asyncio.sleep(0.02)

    async def over(self, run_id: str) -> dict[str, Any]:
        end = time.monotonic() + PATIENCE
        while (run := await self.client.get(f"/runs/{run_id}"))["status"] in ("queued", "running", "waiting"):
            assert time.monotonic() < end, run
            await asyncio.sleep(0.02)
        return dict(run)

    async def begun(self, run_id: str) -> Any:
        """The worker that goes on with the run: it is within its tools now."""
        end = time.monotonic() + PATIENCE
        while True:
            for worker in self.cluster.workers:
                if any(line["run_id"] == run_id for line in worker.log("agent.request.resumed")):
                    return worker
            assert time.monotonic() < end
            await asyncio.sleep(0.01)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """All of its tools need an approval."""
    options: dict[str, Any] = {"workers": 2, "at_once": 2, "run_lease_seconds": LEASE_SECONDS, "approve_risk": "low"}
    with cluster(folder, tool_seconds=TOOL_SECONDS, **options) as (started, ledger):
        await asyncio.to_thread(started.wait_until_working)
        store = connect(started.redis_url)
        async with Client(started.api.url) as client:
            yield World(started, ledger, client, People(store))
        await store.aclose()


async def test_workers_that_die_or_sleep_between_a_decision_and_its_call(tmp_path: Path) -> None:
    async with world(tmp_path / "runs") as there:
        killed, at = await _one_is_killed(there), time.monotonic()
        slept = await _one_sleeps(there)
        print(f"{time.monotonic() - at:.1f} s")
        records = {run["run_id"]: run for run in (killed, slept)}
        assert [run["status"] for run in records.values()] == ["succeeded", "succeeded"]
        assert not there.ledger.faults(records)
        assert told_of(killed)["send"] == "ok", "it was not made, and a person has had it made"
        usage = await there.client.get("/usage")
        assert not usage_faults(usage, list(records.values()))
        assert not budget_faults(usage)


async def _one_is_killed(there: World) -> dict[str, Any]:
    """Within its tools, before they have had their effect."""
    run = await submit(there.client, "together 1")
    await there.waits({"charge", "send", "look"})
    at = time.monotonic()
    await there.people.decide()
    worker = await there.begun(run.run_id)
    assert time.monotonic() - at < 5, "much sooner, on a machine that has time"
    await asyncio.to_thread(there.cluster.kill, worker)
    assert not [deed for deed in there.ledger.deeds() if (deed.tool, deed.run_id) == ("send", run.run_id)]
    (approval,) = await there.waits({"send"})
    assert approval.reason == "unknown_outcome"
    await there.people.approvals.decide(BOB, approval.approval_id, "approve", "it is not in the post")
    return await there.over(run.run_id)


async def _one_sleeps(there: World) -> dict[str, Any]:
    """For longer than its lease, and makes its calls when others have gone on."""
    run = await submit(there.client, "together 2")
    await there.waits({"charge", "send", "look"})
    await there.people.decide()
    worker = await there.begun(run.run_id)
    worker.signal(signal.SIGSTOP)
    (approval,) = await there.waits({"send"})
    worker.signal(signal.SIGCONT)
    await asyncio.to_thread(there.ledger.wait_for, "send", run.run_id)
    await there.people.approvals.decide(BOB, approval.approval_id, "deny", "it is in the post")
    return await there.over(run.run_id)
