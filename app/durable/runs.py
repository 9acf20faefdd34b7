"""Durable runs as the API, batches and webhooks know them: submit, begin, read, list, follow, cancel."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from app.access.principal import Principal
from app.agents.catalog import DEFAULT
from app.agents.definition import Agent
from app.durable.beginning import Beginning, Started
from app.durable.callers import kept_caller, owner_of
from app.durable.engine import Engine
from app.durable.following import Following
from app.durable.keeping import NO_KEY, IdempotencyKey, Keeping
from app.durable.making import Accepted, Begun, new_record, new_run, new_work
from app.durable.record import OVER, SOON, Page, Record, RunStatus, Webhook
from app.durable.records import Records
from app.durable.run_events import RunEvents
from app.durable.worker import Worker
from app.errors import InvalidRequest, NotFound, NoWorkers, RunOver, StateUnavailable
from app.limits.limiter import Limiter
from app.runs.request import RunRequest
from app.runs.runner import Runner
from app.telemetry.logs import log

if TYPE_CHECKING:
    from app.durable.webhooks.webhooks import Webhooks


class DurableRuns:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(
        self,
        runner: Runner,
        agents: Mapping[str, Agent],
        limiter: Limiter,
        records: Records,
        following: Following,
        engine: Engine,
        worker: Worker,
        *,
        workers: bool,
        webhooks: "Webhooks | None" = None,
    ) -> None:
        """`workers`: whether any process can work on what is submitted. `webhooks`: None where none are sent."""
        self._runner = runner
        self._agents = agents
        self._limiter = limiter
        self._records = records
        self._following = following
        self._engine = engine
        self._worker = worker
        self._beginning = Beginning(limiter, records, worker)
        self._workers = workers
        self._webhooks = webhooks

    async def submit(
        self,
        principal: Principal,
        request: RunRequest,
        keeping: Keeping,
        key: IdempotencyKey = NO_KEY,
        *,
        priority: int = SOON,
        batch: str = "",
    ) -> Accepted:
        """A run that goes on by itself. Raises what a plain run of this request would be refused with, what
        `Records.create` raises, and NoWorkers."""
        if not self._workers:
            raise NoWorkers
        agent = self._runner.check(principal, request)
        if keeping.webhook is not None:
            await self._check_webhook(keeping.webhook, principal)
        if not (keeping.start_at or priority != SOON or batch) and self._worker.take_place():
            started = await self._start_here(principal, request, keeping, key)
            new, created, headers = started.new, started.created, started.headers
        else:
            headers = await self._limiter.count(principal, request.operation)
            self._runner.check_input(principal, agent, request)
            work = new_work(principal, request, keeping, batch)
            new = new_run(work, owner_of(principal), agent.name, keeping, key, priority=priority)
            created = await self._records.create(new)
        if created.replayed:
            record = await self._records.read(new.owner, created.run_id)
            if record is None:
                raise unknown(created.run_id)
        else:
            record = new_record(new, created)
            if created.claim is None:
                await self._ring(created.run_id, keeping.start_at, created.priority)
        return Accepted(record, created.replayed, headers)

    async def _start_here(
        self, principal: Principal, request: RunRequest, keeping: Keeping, key: IdempotencyKey
    ) -> Started:
        """A run that this process has time for: it takes a worker's place at once, without a bell."""
        started = None
        try:
            started = await self._beginning.create(principal, request, keeping, key)
        finally:
            if started is None or started.created.claim is None:
                self._worker.give_place()
        if started.created.claim is not None:
            self._worker.begin(started.created, started.new, started.prepared, started.sent_at, placed=True)
        return started

    async def _check_webhook(self, webhook: Webhook, principal: Principal) -> None:
        """Raises InvalidRequest."""
        if self._webhooks is None:
            problem = "This service sends none (WEBHOOK_SECRETS_DIR is not set). Leave it out"
            raise InvalidRequest(f"webhook: {problem}", [{"field": "webhook", "problem": problem}])
        await self._webhooks.check(webhook, kept_caller(principal))

    async def begin(
        self, principal: Principal, request: RunRequest, keeping: Keeping, key: IdempotencyKey = NO_KEY
    ) -> Begun:
        """A run that this process works on at once, and any other one if it dies. Raises as `submit` does; workers are
        needed for one only that waits for another run of its session."""
        if keeping.on_busy != "reject" and not self._workers:
            raise NoWorkers
        started = await self._beginning.create(principal, request, keeping, key)
        created, new = started.created, started.new
        here = created.claim is not None
        if here:
            self._following.works_on(created.run_id)
        events = self._following.follow(new.owner, created.run_id, new=here)
        if here:
            events.begin()  # before there are any
            self._worker.begin(created, new, started.prepared, started.sent_at)
        elif not created.replayed:
            await self._ring(created.run_id, priority=created.priority)
        return Begun(created.run_id, started.prepared.run.agent, events, created.replayed, here, started.headers)

    async def read(self, principal: Principal, run_id: str) -> Record:
        """Raises NotFound."""
        record = await self._records.read(owner_of(principal), run_id)
        if record is None:
            raise unknown(run_id)
        return record

    async def list(
        self, principal: Principal, *, session: str = "", status: RunStatus | None = None, cursor: str = "", limit: int
    ) -> Page:
        """The caller's own, newest first."""
        return await self._records.list(owner_of(principal), session=session, status=status, cursor=cursor, limit=limit)

    async def follow(self, principal: Principal, run_id: str, after: int) -> RunEvents:
        """The events after this number, as they come. Raises NotFound and EventsGone."""
        owner = owner_of(principal)
        await self._records.events(owner, run_id, after, 1)
        return self._following.follow(owner, run_id, after)

    async def cancel(self, principal: Principal, run_id: str) -> RunStatus:
        """The status afterwards: `running` as long as its worker has not ended it. Raises NotFound and RunOver."""
        before = await self._records.cancel(owner_of(principal), run_id)
        if before is None:
            raise unknown(run_id)
        if before in OVER:
            raise RunOver(run_id, before)
        return before if before == "running" else "cancelled"

    def may_pause(self, principal: Principal, request: RunRequest) -> bool:
        """Whether a person may have to approve a tool call of such a run. Raises as a plain run of it would."""
        return self._runner.may_pause(principal, request)

    def agent_keeps(self, name: str | None) -> bool:
        """Whether streams of the agent of this name can be resumed, unless their request says otherwise."""
        agent = self._agents.get(name or DEFAULT)
        return agent is not None and agent.resumable

    async def _ring(self, run_id: str, at: float = 0.0, priority: int = SOON) -> None:
        """A bell that is not heard costs a moment: the run is found by the reconciler."""
        try:
            await self._engine.ring(run_id, at=at, priority=priority)
        except StateUnavailable as error:
            log.warning("run.not_rung", run_id=run_id, error=repr(error.__cause__))


def unknown(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id!r}.")
