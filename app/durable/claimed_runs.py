"""The runs that this process has claimed: each is taken up, worked on, and over or left to another process."""

import asyncio
import time
from typing import NamedTuple

from app.access.identity import Identity
from app.durable.engine import Engine
from app.durable.heartbeat import Heartbeat
from app.durable.journal import Readers, RunJournal
from app.durable.principals import principal_of
from app.durable.record import Claimed, RunTaken, Work
from app.durable.records import Records
from app.durable.taking_up import earlier_of
from app.errors import AppError, InternalError, StateUnavailable
from app.runs.context import RunContext
from app.runs.handle import RunHandle
from app.runs.journal import Earlier
from app.runs.resuming import reason_of
from app.runs.runner import Runner
from app.settings import Settings
from app.telemetry import metrics
from app.telemetry.context import RequestContext, current
from app.telemetry.logs import log
from app.telemetry.traces import Tracing


class Prepared(NamedTuple):
    """A run that is to be worked on here."""

    run: RunContext
    handle: RunHandle


class ClaimedRuns:
    """Built once a process."""

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
        self._seconds = settings.background_timeout_seconds
        self._records, self._engine, self._runner = records, engine, runner
        self._identity, self._tracing, self._readers = identity, tracing, readers
        self._heartbeat = Heartbeat(records, settings)
        self.journals: dict[str, RunJournal] = {}
        """Of the runs that are worked on, by their ids."""

    def prepare(self, work: Work, earlier: Earlier | None = None) -> Prepared:
        """Raises what a plain run of this request would be refused with."""
        principal = principal_of(work.caller, self._identity)
        return Prepared(*self._runner.take_up(principal, work.request, work.run_id, work.session_id, earlier))

    async def work_on(self, claimed: Claimed, prepared: Prepared | None = None) -> None:
        """Returns when the run is over, or not this process's any more. Call it in a task of its own. `prepared`:
        nothing was written of it yet."""
        work = claimed.record.work
        self._readers.works_on(work.run_id)
        try:
            with self._tracing.joined(work.traceparent) as (trace_id, recording):
                current.set(RequestContext(work.request_id, trace_id, recording))
                await self._work_on(claimed, prepared)
        finally:
            self._readers.leaves(work.run_id)

    async def _work_on(self, claimed: Claimed, prepared: Prepared | None) -> None:
        try:
            earlier = await earlier_of(claimed, self._records)
            handle = self._take_up(claimed, earlier, prepared or self.prepare(claimed.record.work, earlier))
        except StateUnavailable:
            return  # its lease runs out
        except AppError as error:
            await self._refuse(claimed, error)
            return
        except Exception:  # of another version, as a rule: what its steps say is not understood
            log.exception("run.crashed")
            await self._refuse(claimed, InternalError("Something went wrong on our side."))
            return
        await self._follow_to_its_end(claimed, handle)

    def _take_up(self, claimed: Claimed, earlier: Earlier | None, prepared: Prepared) -> RunHandle:
        run, handle = prepared.run, prepared.handle
        journal = RunJournal(run, handle, claimed, earlier, self._seconds, self._records, self._readers)
        run.journal, run.emit = journal, journal.emit  # the handle has none of its events
        self.journals[claimed.claim.run_id] = journal
        if earlier is not None:
            metrics.RUN_RESUMPTIONS.labels(claimed.record.agent, reason_of(earlier.carried)).inc()
        return handle

    async def _follow_to_its_end(self, claimed: Claimed, handle: RunHandle) -> None:
        run_id = claimed.claim.run_id
        journal = self.journals[run_id]
        self._heartbeat.keep(claimed.claim, journal)
        try:
            await handle.complete()
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise  # else the run is another process's now
        finally:
            self._heartbeat.drop(claimed.claim)
            del self.journals[run_id]
        if journal.due_again is not None:
            at = time.time() + journal.due_again if journal.due_again else 0.0
            await self._ring(run_id, at, claimed.record.priority)
        elif journal.rung and journal.paused:
            await self._ring(run_id, 0.0, claimed.record.priority)

    async def _ring(self, run_id: str, at: float, priority: int) -> None:
        try:
            async with asyncio.timeout(1.0):
                await self._engine.ring(run_id, at=at, priority=priority)
        except (StateUnavailable, TimeoutError):
            return  # it is found without

    async def _refuse(self, claimed: Claimed, error: AppError) -> None:
        """End a run that cannot be worked on: its agent is gone, or its caller may not do it any more."""
        run_id = claimed.claim.run_id
        try:
            number, last = await self._records.end_unworked(claimed, "failed", error)
        except (RunTaken, StateUnavailable) as refused:
            log.warning("run.abandoned", run_id=run_id, error=repr(refused))
            return
        self._readers.tell(run_id, number, (last,))
        log.warning("run.refused", run_id=run_id, agent=claimed.record.agent, error=error.slug)

    async def aclose(self) -> None:
        await self._heartbeat.aclose()
