"""Carries batches on: takes those whose next step is due, does it, and lets go of them until the next.

Nothing of a batch is kept in a process. Whoever takes it next, here or elsewhere, begins from its record.
"""

import asyncio
from collections.abc import Callable

from app.access.principal import Principal
from app.batches.accounts import HELD_SECONDS
from app.batches.held import NOTHING, Held
from app.batches.provider import ProviderWay
from app.batches.queue import QueueWay
from app.batches.record import OUTCOMES, Batch, BatchStatus, Change
from app.batches.records import BatchRecords, BatchTaken, Taken
from app.durable.principals import named
from app.durable.record import Caller
from app.errors import AppError, RunCancelled, RunCrashed, RunExpired, StateUnavailable, Unauthorized
from app.settings import Settings
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log

AT_ONCE = 8
"""Batches that a process works on at once."""

_LOOK_SECONDS = 1.0  # until the next look for batches whose step is due
_SOON_SECONDS = 0.1  # likewise where one was
_LONGEST_SECONDS = 60.0  # between two tries
_MOST_TRIES = 10  # of a step, of which nothing was written

PrincipalOf = Callable[[Caller], Principal]
"""On whose behalf a batch goes. Raises Unauthorized if their credentials do not hold any more."""


class Coordinator:
    """Built once a worker process; `run` goes on until cancelled."""

    def __init__(
        self,
        records: BatchRecords,
        provider: ProviderWay,
        queue: QueueWay,
        principal_of: PrincipalOf,
        settings: Settings,
        *,
        pace: float = 1.0,
    ) -> None:
        """Waits take `pace` times as long as they should."""
        self._records = records
        self._provider = provider
        self._queue = queue
        self._principal_of = principal_of
        self._pace = pace
        self._queue_seconds = settings.run_queue_seconds
        self._working: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Steps that are cut with it are done again by whoever takes the batch next."""
        try:
            while True:
                found = await self._begin()
                await asyncio.sleep(_SOON_SECONDS if found else _LOOK_SECONDS)
        finally:
            for task in self._working:
                task.cancel()
            if self._working:
                await asyncio.wait(self._working)

    async def _begin(self) -> bool:
        """Whether there was a batch with a step to do."""
        free = AT_ONCE - len(self._working)
        try:
            taken = await self._records.take(free) if free else ()
        except StateUnavailable:
            return False
        for each in taken:
            task = asyncio.create_task(self.step(each))
            self._working.add(task)
            task.add_done_callback(self._working.discard)
        return bool(taken)

    async def step(self, taken: Taken) -> None:
        """Do one step of a batch. Does not raise."""
        batch = taken.batch
        current.set(RequestContext(batch.request_id, batch.traceparent[3:35]))
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(batch))
                await self._step(taken)
                keeping.cancel()
        except* BatchTaken:
            log.note("batch.taken", {"batch_id": batch.id})
        except* StateUnavailable:
            log.warning("batch.waiting", batch_id=batch.id)
        except* Exception:
            log.exception("batch.crashed", batch_id=batch.id)

    async def _keep(self, batch: Batch) -> None:
        """Renew the lease. Raises BatchTaken where that is too late, which ends the step."""
        while True:
            await asyncio.sleep(self._records.lease_seconds / 3)
            await self._records.keep(batch)

    async def _step(self, taken: Taken) -> None:
        withdrawn = None
        try:
            principal = self._principal_of(taken.batch.caller)
        except Unauthorized as error:
            principal, withdrawn = named(taken.batch.caller), error
        held = Held(self._records, taken, principal)
        try:
            await self._prepare(held, withdrawn)
            wait = await self._work(held)
        except StateUnavailable:
            raise
        except AppError as error:
            await self._failed(held, error)
            return
        if wait is not None:
            change = Change({"failures": ""}) if held.batch.failures else NOTHING
            await self._records.wait(held.batch, change, wait)
            return
        if not held.begun:
            await held.end_rest("cancelled", RunCancelled())
        await self._end(held)

    async def _prepare(self, held: Held, withdrawn: AppError | None) -> None:
        batch = held.batch
        if batch.tries > _MOST_TRIES:
            await held.give_up(RunCrashed("Several workers died over the batch."))
        elif withdrawn is not None and not batch.cancelling:
            if not held.begun:
                await held.end_rest("failed", withdrawn)
            await held.cancel()
        elif not batch.next and batch.rest is None and _waited(batch) > self._queue_seconds:
            await held.end_rest("expired", RunExpired("No worker began the batch in time. Send it again."))

    async def _work(self, held: Held) -> float | None:
        if held.given_up:
            return None
        if held.batch.way == "queue":
            return await self._queue.step(held)
        return await self._provider.step(held)

    async def _failed(self, held: Held, error: AppError) -> None:
        """What another try may help with, for as long as anybody may still wait for it."""
        batch = held.batch
        age = held.now() - max(batch.created_at, batch.start_at)
        log.warning("batch.failing", batch_id=batch.id, error=error.slug, failures=batch.failures + 1)
        if age > self._queue_seconds + HELD_SECONDS:
            await held.give_up(error)
            await self._end(held)
            return
        wait = error.retry_after or min(2.0**batch.failures, _LONGEST_SECONDS)
        await self._records.wait(batch, Change({"failures": batch.failures + 1}), wait * self._pace)

    async def _end(self, held: Held) -> None:
        batch = held.batch
        status: BatchStatus = "cancelled" if batch.cancelling else "ended"
        if batch.rest is not None and batch.rest.outcome == "expired":
            status = "expired"
        await self._records.end(batch, NOTHING, status)
        counts: dict[str, int] = {outcome: batch.counts.get(outcome, 0) for outcome in OUTCOMES}
        log.note("batch.ended", {"batch_id": batch.id, "way": batch.way, "status": status, **counts})


def _waited(batch: Batch) -> float:
    """Seconds that it waited for a worker."""
    return batch.started_at - max(batch.created_at, batch.start_at)
