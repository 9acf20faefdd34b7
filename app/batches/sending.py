"""Sends portions of a batch to its provider: noted before, reserved before, and what became of the sending."""

from typing import NamedTuple

from msgspec.structs import replace

from app.batches.accounts import Accounts
from app.batches.collecting import Collector
from app.batches.gathering import Gathered, gather
from app.batches.held import Held
from app.batches.record import Change, Portion
from app.errors import AppError, ModelError, RunCancelled
from app.limits.wire import Admission, Refusal, refused
from app.models.batching import BatchApi, has_no_api, surely_refused
from app.runs.single import SingleCall
from app.telemetry.logs import log

QUICK_SECONDS = 2.0
"""Until the first look at a portion that was sent."""

BUSY_SECONDS = 5.0
"""Until a budget is asked again that others' reservations are in the way of, or a portion looked for."""


class Work(NamedTuple):
    """One step's."""

    held: Held
    call: SingleCall
    api: BatchApi
    collector: Collector


class Sender:
    """Built once a process."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def send(self, work: Work, number: int) -> float:
        """The next portion."""
        held = work.held
        gathered = await gather(held, work.call, work.api, held.batch.next, held.batch.inputs)
        if not gathered.requests:
            await held.go_on_at(gathered.end, Change(results=gathered.refused))
            return 0.0
        reservation, reserved = await self._accounts.reserve(held.batch, held.principal, number, gathered.wanted)
        if reserved.refusal is not None:
            return await _over_budget(held, reserved.refusal, refused(reserved.refusal, reservation.checks))
        gathered.cut(reserved)
        portion = Portion(number, gathered.first, gathered.end - gathered.first, len(gathered.requests), held.now())
        await held.go_on_at(gathered.end, Change(portions=[portion], results=gathered.refused))
        return await self._create(work, portion, reserved, gathered)

    async def send_again(self, work: Work, portion: Portion, reserved: Admission) -> float:
        """A portion that the provider surely does not have."""
        held = work.held
        if held.batch.cancelling:
            await work.collector.close(portion, reserved, "cancelled", RunCancelled())
            return 0.0
        gathered = await gather(held, work.call, work.api, portion.first, portion.first + portion.count)
        portion = replace(portion, at=held.now(), sent=len(gathered.requests))
        await held.write(Change(portions=[portion], results=gathered.refused))
        if not gathered.requests:
            await work.collector.close(portion, reserved, "failed", RunCancelled())
            return 0.0
        return await self._create(work, portion, reserved, gathered)

    async def _create(self, work: Work, portion: Portion, reserved: Admission, gathered: Gathered) -> float:
        held = work.held
        try:
            submitted = await work.api.create(gathered.requests)
        except AppError as error:
            if not surely_refused(error):
                log.warning("batch.unsure", batch_id=held.batch.id, portion=portion.number, error=error.slug)
                return BUSY_SECONDS
            await self._not_taken(work, portion, reserved, error)
            return 0.0
        await know(held, portion, submitted.id)
        fields = {"batch_id": held.batch.id, "portion": portion.number, "inputs": portion.sent}
        log.note("batch.submitted", {**fields, "model": work.call.model.ref})
        return 0.0 if not held.begun else QUICK_SECONDS

    async def _not_taken(self, work: Work, portion: Portion, reserved: Admission, error: AppError) -> None:
        """By the provider, for a reason that is the same for all inputs. Raises what may pass."""
        held = work.held
        if portion.number == 0 and has_no_api(error):
            log.warning("batch.no_provider_api", batch_id=held.batch.id)
            _, settlement = self._accounts.settlement(held.batch, held.principal, 0, reserved, over=True)
            change = Change({"way": "queue"}, dropped=[0], settlement=settlement)
            await held.go_on_at(portion.first, change)
            held.batch = replace(held.batch, way="queue")
        elif isinstance(error, ModelError) and not error.permanent:
            await held.write(Change(portions=[replace(portion, at=0.0)]))
            raise error
        else:
            await work.collector.close(portion, reserved, "failed", error)
            await held.end_rest("failed", error)


async def know(held: Held, portion: Portion, provider_id: str) -> Portion:
    """Note which of the provider's batches the portion is."""
    known = replace(portion, provider_id=provider_id)
    await held.records.note_at_provider(provider_id, held.batch.id, portion.number)
    await held.write(Change(portions=[known]))
    return known


async def _over_budget(held: Held, refusal: Refusal, error: AppError) -> float:
    """A budget that is used up ends the batch's rest; else others hold what may be free again soon."""
    if refusal.wait_ms < refusal.resets_ms:
        return BUSY_SECONDS
    log.warning("batch.over_budget", batch_id=held.batch.id, inputs=held.batch.inputs - held.batch.next)
    await held.end_rest("failed", error)
    return 0.0
