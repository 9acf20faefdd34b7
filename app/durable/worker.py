"""A worker: takes runs that are due, and those that its process begins itself, until it is to stop."""

import asyncio
import time
from collections.abc import Coroutine
from contextlib import suppress
from random import uniform
from typing import Any

from app.access.identity import Identity
from app.durable.claimed_runs import ClaimedRuns, Prepared
from app.durable.engine import Engine
from app.durable.journal import Readers
from app.durable.places import Places
from app.durable.record import SOON, Claimed, Created, NewRun, Record, Work
from app.durable.records import Records
from app.errors import StateUnavailable
from app.runs.runner import Runner
from app.settings import Settings
from app.telemetry import metrics
from app.telemetry.logs import log
from app.telemetry.traces import Tracing

RECONCILE_SECONDS = 1.0
"""How often a worker looks for runs that are due, whatever the queue believes."""
STEP_SECONDS = 2.0
"""How long the current step of a run may take before it is handed back; a longer one is cut."""
_LAST_WORDS_SECONDS = 3.0


def places_of(settings: Settings) -> int:
    """How many runs of others a process works on at once. One that is alone and has no workers goes on with runs that
    have waited for a decision."""
    return settings.workers or int(not (settings.redis_url or settings.run_queue_url))


class Worker:
    """Built once a process. Without `run` it works only on the runs that its process begins."""

    def __init__(
        self,
        settings: Settings,
        records: Records,
        engine: Engine,
        runner: Runner,
        identity: Identity,
        tracing: Tracing,
        readers: Readers,
    ) -> None:
        self._records, self._engine = records, engine
        self._claimed = ClaimedRuns(settings, records, engine, runner, identity, tracing, readers)
        self._most = places_of(settings)
        self._places = Places(self._most)
        self._lease_seconds = settings.run_lease_seconds
        self._here: dict[str, asyncio.Task[None]] = {}  # runs that this process has begun for their readers
        self._next: set[str] = set()  # runs that the reconciler has found, and that are worked on or wait for a place
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()
        records.on_due(lambda run_id: self._start(self._ring(run_id)))

    async def work(self, run_id: str) -> None:
        """Work on the run until it is over, or another worker's. Does not raise."""
        async with self._places:
            if self._stopping.is_set():
                return
            if (journal := self._claimed.journals.get(run_id)) is not None:
                journal.rung = True
                return
            try:
                claimed = await self._records.claim(run_id)
            except StateUnavailable:
                return  # it is found again
            if claimed is not None:
                await self._start(self._claimed.work_on(claimed))

    def take_place(self) -> bool:
        """Whether this process has time for a run that is created now: it need not ring for it, then."""
        return not self._stopping.is_set() and self._places.take()

    def give_place(self) -> None:
        """Nothing came of it."""
        self._places.give()

    def prepare(self, work: Work) -> Prepared:
        """A run that is to be created and worked on here. Raises what a plain run of this request would be refused
        with."""
        return self._claimed.prepare(work)

    def begin(self, created: Created, new: NewRun, prepared: Prepared, sent_at: float, *, placed: bool = False) -> None:
        """Work on a run that was created to be worked on `here`, when that was asked for at `sent_at` on the clock of
        time.monotonic(). One that somebody reads takes no worker's place; `placed`: it has the one that was taken for
        it."""
        if created.claim is None:
            raise ValueError(f"run {created.run_id} is not claimed")
        now = created.created_at or time.time()
        record = Record(new.work, new.owner, new.agent, "running", now, new.start_at, now, claims=1)
        safe_until = sent_at + self._records.safe_seconds
        task = self._start(self._claimed.work_on(Claimed(created.claim, record, (), safe_until), prepared))
        if placed:
            task.add_done_callback(lambda _: self._places.give())
        else:
            self._here[created.run_id] = task
            task.add_done_callback(lambda _: self._here.pop(created.run_id, None))

    def go_on(self, run_id: str, priority: int) -> None:
        """Have some process work on a run that has waited for a decision."""
        self._start(self._ring(run_id, priority))

    def cancel(self, run_id: str) -> None:
        """End the run, if it is worked on here."""
        if (journal := self._claimed.journals.get(run_id)) is not None:
            journal.cancel()

    async def run(self) -> None:
        """Take runs until `stop` is called, or the task is cancelled; those of others are handed back then."""
        serving: list[asyncio.Task[Any]] = [asyncio.create_task(self._serve()), asyncio.create_task(self._reconcile())]
        stopping = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([*serving, stopping], return_when=asyncio.FIRST_COMPLETED)
            for task in serving:
                if task.done():
                    task.result()  # raises: whoever supervises begins anew
        finally:
            for task in (*serving, stopping):
                task.cancel()
            await asyncio.wait([*serving, stopping])
        await self._left()

    def stop(self) -> None:
        """Take no more runs, and hand back those there are, each after its current step. Runs that were begun here go
        on for as long as their process lets them."""
        if self._stopping.is_set():
            return
        self._stopping.set()
        for run_id, journal in self._claimed.journals.items():
            if run_id not in self._here:
                journal.leave()
        asyncio.get_running_loop().call_later(STEP_SECONDS, self._cut)

    async def aclose(self) -> None:
        """Hand back what is left."""
        self.stop()
        self._here.clear()
        self._cut()
        await self._left()
        await self._claimed.aclose()
        await self._engine.close()

    def _cut(self) -> None:
        for run_id, journal in list(self._claimed.journals.items()):
            if run_id not in self._here:
                journal.cut()

    async def _left(self) -> None:
        """Returns when nothing is worked on any more but what this process has begun."""
        if not (left := self._tasks.difference(self._here.values())):
            return
        _, pending = await asyncio.wait(left, timeout=STEP_SECONDS + _LAST_WORDS_SECONDS)
        if pending:
            log.warning("runs.left", runs=len(pending))

    async def _serve(self) -> None:
        if self._most:
            await self._engine.serve(self.work, most=self._most)
        else:
            await self._stopping.wait()

    async def _reconcile(self) -> None:
        while self._most:
            await asyncio.sleep(RECONCILE_SECONDS * uniform(0.75, 1.25))  # noqa: S311 - no secret
            try:
                free = max(0, self._places.free)
                for run_id in await self._records.due(free or self._most, lost=not free):
                    self._work_next(run_id)
                metrics.RUN_QUEUE_AGE.set(await self._records.queue_age())
                metrics.APPROVALS_WAITING.set(await self._records.pending_approvals())
            except StateUnavailable:
                await asyncio.sleep(self._lease_seconds)  # in which workers that live renew their leases
        await self._stopping.wait()

    def _work_next(self, run_id: str) -> None:
        """In the next place that is free, before what the queue still has: others have worked on it already."""
        if run_id not in self._next:
            self._next.add(run_id)
            self._start(self.work(run_id)).add_done_callback(lambda _: self._next.discard(run_id))

    async def _ring(self, run_id: str, priority: int = SOON) -> None:
        with suppress(StateUnavailable):  # it is found without
            await self._engine.ring(run_id, priority=priority)

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task
