"""A batch while this process has it: what it writes, and what it knows of it meanwhile."""

import time
from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from app.access.principal import Principal
from app.batches.changes import Written
from app.batches.record import Batch, Change, Rest, encode
from app.batches.records import BatchRecords, Taken
from app.errors import AppError
from app.models.batching import Outcome
from app.runs.problems import document
from app.telemetry import metrics

NOTHING = Change()


class Held:
    """One step's. Writes raise BatchTaken when another worker has the batch."""

    def __init__(self, records: BatchRecords, taken: Taken, principal: Principal) -> None:
        self.records = records
        self.principal = principal
        self.batch: Batch = taken.batch
        self.given_up = False
        self._now = taken.now
        self._taken_at = time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch, by the store's clock."""
        return self._now + time.monotonic() - self._taken_at

    async def write(self, change: Change = NOTHING) -> Written:
        """Write, and keep the batch for another lease."""
        written = await self.records.keep(self.batch, change)
        self._count(change, written.new)
        if written.cancelling:
            self.batch = replace(self.batch, status="cancelling")
        return written

    def problem(self, error: AppError) -> bytes:
        """JSON of what the batch's owner is told."""
        return encode(document(error, f"/batches/{self.batch.id}"))

    async def end_rest(self, outcome: Outcome, error: AppError) -> None:
        """Have all inputs that were not begun come to this, in one write however many they are."""
        await self.end_rest_as(outcome, self.problem(error))

    async def end_rest_as(self, outcome: Outcome, problem: bytes) -> None:
        """With a problem as JSON."""
        await self._end(outcome, problem, self.batch.inputs - self.batch.next)

    async def give_up(self, error: AppError) -> None:
        """Have all inputs without a result come to this."""
        batch = self.batch
        self.batch = replace(batch, next=0)
        await self._end("failed", self.problem(error), batch.inputs - batch.done, {"next": 0})
        self.given_up = True

    async def cancel(self) -> None:
        """Have the batch end, as its owner may."""
        await self.write(Change({"status": "cancelling"}))
        self.batch = replace(self.batch, status="cancelling")

    async def _end(
        self, outcome: Outcome, problem: bytes, left: int, fields: Mapping[str, str | bytes | int] = {}
    ) -> None:
        batch = self.batch
        counts = {**batch.counts, outcome: batch.counts.get(outcome, 0) + left}
        rest: dict[str, str | bytes | int] = {"rest_outcome": outcome, "rest_error": problem}
        await self.write(Change({**fields, **rest, outcome: counts[outcome]}))
        self.batch = replace(self.batch, counts=counts, rest=Rest(outcome, problem))
        metrics.BATCH_INPUTS.labels(batch.way, outcome).inc(left)

    async def go_on_at(self, place: int, change: Change) -> Written:
        """Write a change after which the inputs before this place are begun."""
        written = await self.write(replace(change, fields={**change.fields, "next": place}))
        self.batch = replace(self.batch, next=place)
        return written

    @property
    def begun(self) -> bool:
        """Whether nothing is left to begin."""
        return self.batch.rest is not None or self.batch.next >= self.batch.inputs

    def _count(self, change: Change, new: Sequence[int]) -> None:
        if not new:
            return
        places, counts = frozenset(new), dict(self.batch.counts)
        for resulted in change.results:
            if resulted.place in places:
                counts[resulted.outcome] = counts.get(resulted.outcome, 0) + 1
                metrics.BATCH_INPUTS.labels(self.batch.way, resulted.outcome).inc()
        self.batch = replace(self.batch, counts=counts)
