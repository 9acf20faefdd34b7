"""Batches through the queue: each input a durable run of low priority, a window of them at a time."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.batches.accounts import Accounts
from app.batches.batches import Batches
from app.batches.coordinator import Coordinator
from app.batches.provider import ProviderWay
from app.batches.queue import WINDOW, QueueWay, run_id
from app.batches.record import Batch, Input
from app.batches.records import BatchRecords
from app.durable.principals import named
from app.durable.record import LATER
from app.messages import NANOS
from app.runs.request import RunRequest
from app.state.store import Store
from tests.batches.conftest import BOTH
from tests.batches.stage import PACE
from tests.doubles import ADA, CHEAP, Script, answers
from tests.durable.house import OWNER, MortalStore, Process

Make = Callable[..., "Worker"]


class Worker(Process):
    """A process that works on runs and carries batches on."""

    def __init__(self, store: Store, *scripts: Script, **more: Any) -> None:
        super().__init__(store, *scripts, price=CHEAP, **more)
        self.batch_records = BatchRecords(store, self.settings)
        self.batches = Batches(self.batch_records, self.runner, self.settings)
        provider = ProviderWay(self.runner, Accounts(self.batch_records, self.limiter, self.settings))
        queue = QueueWay(self.records, self.engine, pace=PACE)
        self.coordinator = Coordinator(self.batch_records, provider, queue, named, self.settings, pace=PACE)

    async def submit_batch(self, count: int, **options: Any) -> Batch:
        intake = self.batches.begin(ADA, RunRequest("", **options))
        await intake.add([Input(f"c-{n}", f"question {n}") for n in range(count)])
        return await intake.create()

    async def step(self) -> int:
        taken = await self.batch_records.take(10)
        for each in taken:
            await self.coordinator.step(each)
        return len(taken)

    async def work_all(self) -> int:
        """Work on all runs that are due."""
        due = await self.records.due()
        await asyncio.gather(*(self.worker.work(run_id) for run_id in due))
        return len(due)

    async def results(self, batch: Batch) -> list[dict[str, Any]]:
        told = [piece async for piece in self.batches.results(await self.batches.read(ADA, batch.id))]
        return [json.loads(line) for line in b"".join(told).splitlines()]


@pytest.fixture
async def make(store: Store) -> AsyncIterator[Make]:
    made: list[Worker] = []

    def one(*scripts: Script, at: Store = store, **settings: Any) -> Worker:
        made.append(Worker(at, *(scripts or (answers("42"),)), **settings))
        return made[-1]

    yield one
    for each in made:
        await each.worker.aclose()


async def carry_on(batch: Batch, worker: Worker, until: str = "ended", seconds: float = 20.0) -> Batch:
    end = time.monotonic() + seconds
    while True:
        await worker.step()
        await worker.work_all()
        found = await worker.batches.read(ADA, batch.id)
        if found.status == until:
            return found
        assert time.monotonic() < end, found
        await asyncio.sleep(0.01)


async def runs_of(worker: Worker, batch: Batch) -> int:
    found = [await worker.records.read(OWNER, run_id(batch.id, place)) for place in range(batch.inputs)]
    return sum(record is not None for record in found)


@BOTH
async def test_each_input_is_a_run_of_low_priority_and_none_of_the_owners_list(make: Make) -> None:
    worker = make()
    batch = await worker.submit_batch(3)
    assert batch.way == "queue"
    done = await carry_on(batch, worker)
    results = await worker.results(batch)
    assert [each["answer"] for each in results] == ["42"] * 3
    assert [each["run_id"] for each in results] == [run_id(batch.id, place) for place in range(3)]
    record = await worker.records.read(OWNER, results[0]["run_id"])
    assert record is not None
    assert (record.priority, record.work.batch) == (LATER, batch.id)
    assert (await worker.records.list(OWNER)).runs == ()
    assert await worker.sessions.list("ada", 10) == []
    usage = results[0]["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (10, 5)
    (row,) = await worker.limiter.usage.of_user("ada", 1)
    assert done.nanos == round(row.cost_usd * NANOS) == 3 * 20_000


async def test_no_more_than_a_window_of_runs_is_there_at_once(make: Make) -> None:
    worker = make()
    batch = await worker.submit_batch(2 * WINDOW + 5)
    for _ in range(3):
        await worker.step()
        await asyncio.sleep(0.01)
    assert await runs_of(worker, batch) == WINDOW
    done = await carry_on(batch, worker)
    assert done.counts["succeeded"] == 2 * WINDOW + 5


async def test_what_fails_is_told_and_the_others_go_on(make: Make) -> None:
    worker = make([RuntimeError("a defect")], answers("42"))
    batch = await worker.submit_batch(2)
    done = await carry_on(batch, worker)
    assert (done.counts["succeeded"], done.counts["failed"]) == (1, 1)
    failed = next(each for each in await worker.results(batch) if each["error"])
    assert failed["error"]["type"] == "urn:agent-api:problem:internal-error"
    assert failed["error"]["instance"] == f"/runs/{failed['run_id']}"


async def test_a_budget_that_is_used_up_ends_the_rest_without_runs(make: Make) -> None:
    worker = make(answers("42"), budget_user_day_tokens=3_000)
    batch = await worker.submit_batch(200)
    done = await carry_on(batch, worker)
    assert done.counts["succeeded"] > 0
    assert done.counts["succeeded"] + done.counts["failed"] == 200
    assert await runs_of(worker, batch) < 200
    last = (await worker.results(batch))[-1]
    assert last["error"]["type"] == "urn:agent-api:problem:budget-exceeded"


async def test_cancelled_its_runs_end_and_the_rest_never_begins(make: Make) -> None:
    worker = make()
    batch = await worker.submit_batch(WINDOW + 10)
    await worker.step()
    assert await worker.batches.cancel(ADA, batch.id) == "cancelling"
    done = await carry_on(batch, worker, until="cancelled")
    assert done.counts["cancelled"] == WINDOW + 10
    assert {each["error"]["type"] for each in await worker.results(batch)} == {"urn:agent-api:problem:cancelled"}


@pytest.mark.parametrize("after", [False, True])
async def test_a_coordinator_killed_at_any_call_has_no_input_done_twice_or_lost(store: Store, *, after: bool) -> None:
    heir = Worker(store, answers("42"))
    dies_at = 0
    while True:
        dies_at += 1
        mortal = MortalStore(store, dies_at=dies_at, after=after)
        first = Worker(mortal, answers("42"))
        batch = await heir.submit_batch(3)
        stepping = asyncio.create_task(first.step())
        dying = asyncio.create_task(mortal.dead.wait())
        await asyncio.wait([stepping, dying], return_when=asyncio.FIRST_COMPLETED)
        survived = not mortal.dead.is_set()
        mortal.bury()
        dying.cancel()
        await asyncio.wait([stepping])
        await store.call("ZADD", "{limits}:batches:due", "XX", 0, batch.id)  # its lease is over
        before = len(heir.model.requests)
        done = await carry_on(batch, heir)
        assert (done.counts["succeeded"], len(heir.model.requests) - before) == (3, 3)
        if survived:
            break
    assert dies_at > 5
