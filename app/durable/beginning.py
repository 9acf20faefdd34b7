"""Runs that begin in the process that makes them: counted, kept and admitted in one round trip to the store, together
with the question for what their session holds."""

import time
from collections.abc import Mapping

from msgspec import Struct

from app.access.principal import Principal
from app.durable.callers import owner_of
from app.durable.claimed_runs import Prepared
from app.durable.keeping import IdempotencyKey, Keeping
from app.durable.making import new_run, new_work
from app.durable.record import Created, NewRun, Uncounted
from app.durable.records import Records
from app.durable.worker import Worker
from app.errors import AppError, LimitsUnavailable, StateUnavailable
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.runs.guarding import check_input
from app.runs.pipeline import recall
from app.runs.request import RunRequest


class Started(Struct, frozen=True):
    """A run that was created; the worker may `begin` it if it is claimed."""

    new: NewRun
    created: Created
    prepared: Prepared
    sent_at: float
    """When it was asked for, by time.monotonic()."""
    headers: Mapping[str, str]
    """Where the caller stands with their rates."""


class Beginning:
    """Built once a process."""

    def __init__(self, limiter: Limiter, records: Records, worker: Worker) -> None:
        self._limiter, self._records, self._worker = limiter, records, worker

    async def create(self, principal: Principal, request: RunRequest, keeping: Keeping, key: IdempotencyKey) -> Started:
        """Raises what a plain run of this request would be refused with, and what `Records.create` raises."""
        work = new_work(principal, request, keeping)
        prepared = self._worker.prepare(work)
        await self._check(principal, prepared)
        run, limiter = prepared.run, self._limiter
        counting = limiter.counting(principal, request.operation)
        new = new_run(
            work,
            owner_of(principal),
            run.agent.name,
            keeping,
            key,
            counting=limiter.admission(counting),
            admitting=limiter.admission(run.reservation),
            here=True,
        )
        return await self._create(new, prepared, counting)

    async def _check(self, principal: Principal, prepared: Prepared) -> None:
        """What the guards refuse is counted, and no run is made of it."""
        run = prepared.run
        try:
            run.verdict = check_input(run.services, principal, run.agent, run.request, run.reservation.run_id)
        except AppError:
            await self._limiter.count(principal, run.request.operation)
            raise

    async def _create(self, new: NewRun, prepared: Prepared, counting: Reservation) -> Started:
        run, limiter = prepared.run, self._limiter
        sent_at = time.monotonic()
        creating = self._records.creating(new)
        recalled = recall(run)  # after the run has its turn in the session: what was said before is there
        created = None
        try:
            created = await creating
        except Uncounted as refused:
            limiter.admitted(counting, limiter.early(refused.admission, sent_at))
            raise
        except StateUnavailable as error:
            if counting.checks.required:
                raise LimitsUnavailable from error
            raise
        finally:
            if recalled is not None and (created is None or created.claim is None):
                recalled.close()
        run.recalled = recalled
        if created.admitted is not None:
            run.reservation.early = limiter.early(created.admitted, sent_at)
        headers: Mapping[str, str] = {}
        if created.counted is not None:
            headers = limiter.admitted(counting, limiter.early(created.counted, sent_at))
        return Started(new, created, prepared, sent_at, headers)
