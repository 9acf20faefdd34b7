"""Batches as the API knows them: take in, read, list, results, cancel."""

from collections.abc import AsyncIterator, Sequence

from app.access.principal import Principal
from app.batches.lines import lines
from app.batches.provider import provider_answers
from app.batches.record import OVER, Batch, BatchStatus, Input, NewBatch, Way, encode
from app.batches.records import BatchRecords
from app.durable.callers import kept_caller, owner_of
from app.errors import BatchOver, NotFound, RunCancelled
from app.ids import new_id
from app.runs.problems import document
from app.runs.request import RunRequest
from app.runs.runner import Runner
from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.logs import log
from app.telemetry.propagation import traceparent


class Batches:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(self, records: BatchRecords, runner: Runner, settings: Settings) -> None:
        self._records = records
        self._runner = runner
        self._providers = settings.batch_providers

    def begin(self, principal: Principal, options: RunRequest) -> "Intake":
        """A batch whose inputs are still coming. Raises what keeps a run like these from starting."""
        run = self._runner.prepare(principal, options)
        way: Way = "provider" if self._providers and provider_answers(run) else "queue"
        return Intake(self._records, principal, options, way)

    async def read(self, principal: Principal, batch_id: str) -> Batch:
        """Raises NotFound."""
        batch = await self._records.read(owner_of(principal), batch_id)
        if batch is None:
            raise _unknown(batch_id)
        return batch

    async def list(self, principal: Principal, limit: int, cursor: str) -> tuple[Sequence[Batch], str]:
        """The caller's batches, newest first, and the cursor of those after them."""
        return await self._records.list(owner_of(principal), limit, cursor)

    def results(self, batch: Batch) -> AsyncIterator[bytes]:
        """The results so far, as JSON lines in the order of the inputs."""
        return lines(self._records, batch)

    async def cancel(self, principal: Principal, batch_id: str) -> BatchStatus:
        """Returns the status after it. Raises NotFound, BatchOver."""
        problem = encode(document(RunCancelled(), f"/batches/{batch_id}"))
        found = await self._records.cancel(owner_of(principal), batch_id, problem)
        if found is None:
            raise _unknown(batch_id)
        before, after = found
        if before in OVER:
            raise BatchOver(batch_id, before)
        log.note("batch.cancelled", {"batch_id": batch_id})
        return after


class Intake:
    """A batch that is being sent: its inputs are kept as they come, and are a batch once all are there."""

    def __init__(self, records: BatchRecords, principal: Principal, options: RunRequest, way: Way) -> None:
        self.batch_id = new_id()
        self._records = records
        self._principal = principal
        self._options = options
        self._way = way
        self._count = 0

    async def add(self, inputs: Sequence[Input]) -> None:
        self._count += len(inputs)
        await self._records.add_inputs(self.batch_id, inputs)

    async def create(self, start_at: float = 0.0) -> Batch:
        """Raises TooManyBatches."""
        owner, ids = owner_of(self._principal), current.get()
        caller = kept_caller(self._principal)
        new = NewBatch(
            self.batch_id,
            owner,
            caller,
            self._options,
            self._way,
            ids.request_id,
            traceparent(),
            self._count,
            start_at,
        )
        await self._records.create(new)
        log.note("batch.created", {"batch_id": self.batch_id, "way": self._way, "inputs": self._count})
        batch = await self._records.read(owner, self.batch_id)
        if batch is None:
            raise _unknown(self.batch_id)
        return batch

    async def drop(self) -> None:
        """Forget what has come."""
        await self._records.drop_inputs(self.batch_id)


def _unknown(batch_id: str) -> NotFound:
    return NotFound(f"There is no batch {batch_id!r}.")
