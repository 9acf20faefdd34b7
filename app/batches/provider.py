"""Batches through their provider's batch API: sent in portions, looked at now and then, settled as results are read.

The API of Anthropic knows no idempotency key. So that a portion is not paid twice, it is noted before it is sent; a
worker that finds such a note without the provider's id looks for the batch among the account's, and sends it again only
when there is none.
"""

from typing import NamedTuple

from msgspec.structs import replace

from app.batches.accounts import Accounts
from app.batches.collecting import Collector
from app.batches.gathering import Gathered, gather, place_of
from app.batches.held import Held
from app.batches.keys import provider_key
from app.batches.record import Change, Portion
from app.errors import AppError, ModelError, ModelUnavailable, RunCancelled
from app.limits.wire import Admission, Refusal, refused
from app.models.batching import BatchApi, Submitted, has_no_api, share_of, surely_refused
from app.runs.context import RunContext
from app.runs.runner import Runner
from app.runs.single import SingleCall
from app.telemetry.logs import log

CLOCK_SECONDS = 300.0
"""By which the provider's clock and the store's may differ."""

GRACE_SECONDS = 60.0
"""After which a portion that the provider does not show was never taken."""

_KNOWN_SECONDS = 3 * 86_400
_QUICK, _SLOW = 2.0, 60.0
"""Seconds between two looks at a portion: a tenth of its age, within these."""

_BUSY_SECONDS = 5.0
"""Until a budget is asked again that others' reservations are in the way of."""


class _Work(NamedTuple):
    """One step's."""

    held: Held
    call: SingleCall
    api: BatchApi
    collector: Collector


class ProviderWay:
    """Built once a process."""

    def __init__(self, runner: Runner, accounts: Accounts, *, pace: float = 1.0) -> None:
        """Waits take `pace` times as long as they should."""
        self._runner = runner
        self._accounts = accounts
        self._pace = pace

    async def step(self, held: Held) -> float | None:
        """Do what is to be done now. Returns seconds until the next step; None when nothing is left.

        Raises AppError for what another try may help with.
        """
        call, api = call_of(self._runner, held)
        work = _Work(held, call, api, Collector(self._accounts, held, call, api))
        sent, reserved = await held.records.portions(held.batch.id)
        going = [portion for portion in sent if not portion.done]
        waits = [await self._follow(work, portion, reserved[portion.number]) for portion in going]
        if held.batch.way == "provider" and not held.begun and not held.batch.cancelling:
            waits.append(await self._send(work, len(sent)))
        if held.batch.way == "queue":
            return 0.0
        return min(waits) * self._pace if waits else None

    async def _follow(self, work: _Work, portion: Portion, reserved: Admission) -> float:
        held, api = work.held, work.api
        if not portion.provider_id:
            if portion.at:
                found = await self._find(held, api, portion)
                if isinstance(found, float):
                    return found
                portion = found if not found.provider_id else await self._know(held, portion, found.provider_id)
            if not portion.provider_id:
                return await self._send_again(work, portion, reserved)
        submitted = await api.retrieve(portion.provider_id)
        if submitted.ended:
            await work.collector.collect(portion, reserved)
            return 0.0
        if held.batch.cancelling and not portion.cancelled:
            await api.cancel(portion.provider_id)
            await held.write(Change(portions=[replace(portion, cancelled=True)]))
        return min(max((held.now() - portion.at) / 10, _QUICK), _SLOW)

    async def _send(self, work: _Work, number: int) -> float:
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

    async def _send_again(self, work: _Work, portion: Portion, reserved: Admission) -> float:
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

    async def _create(self, work: _Work, portion: Portion, reserved: Admission, gathered: Gathered) -> float:
        held = work.held
        try:
            submitted = await work.api.create(gathered.requests)
        except AppError as error:
            if not surely_refused(error):
                log.warning("batch.unsure", batch_id=held.batch.id, portion=portion.number, error=error.slug)
                return _BUSY_SECONDS
            await self._not_taken(work, portion, reserved, error)
            return 0.0
        await self._know(held, portion, submitted.id)
        fields = {"batch_id": held.batch.id, "portion": portion.number, "inputs": portion.sent}
        log.note("batch.submitted", {**fields, "model": work.call.model.ref})
        return 0.0 if not held.begun else _QUICK

    async def _know(self, held: Held, portion: Portion, provider_id: str) -> Portion:
        known = replace(portion, provider_id=provider_id)
        await held.records.know(provider_key(provider_id), _KNOWN_SECONDS)
        await held.write(Change(portions=[known]))
        return known

    async def _not_taken(self, work: _Work, portion: Portion, reserved: Admission, error: AppError) -> None:
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

    async def _find(self, held: Held, api: BatchApi, portion: Portion) -> Portion | float:
        """A portion that may have been sent, with its provider's id, or as one that surely was not; or how long to wait
        until it is looked for again."""
        unsure = False
        for submitted in await api.recent(portion.at - CLOCK_SECONDS):
            if submitted.requests != portion.sent or await held.records.known(provider_key(submitted.id)):
                continue
            if not submitted.ended:
                unsure = True  # only results tell whose it is
            elif await _is_of(held, api, submitted, portion):
                return replace(portion, provider_id=submitted.id)
        if unsure or held.now() - portion.at < GRACE_SECONDS * self._pace:
            return _SLOW if unsure else _BUSY_SECONDS
        log.warning("batch.sent_again", batch_id=held.batch.id, portion=portion.number)
        return replace(portion, at=0.0)


async def _over_budget(held: Held, refusal: Refusal, error: AppError) -> float:
    """A budget that is used up ends the batch's rest; else others hold what may be free again soon."""
    if refusal.wait_ms < refusal.resets_ms:
        return _BUSY_SECONDS
    log.warning("batch.over_budget", batch_id=held.batch.id, inputs=held.batch.inputs - held.batch.next)
    await held.end_rest("failed", error)
    return 0.0


async def _is_of(held: Held, api: BatchApi, submitted: Submitted, portion: Portion) -> bool:
    async for answered in api.results(submitted.id):
        place = place_of(held.batch.id, answered.custom_id)
        return place is not None and portion.first <= place < portion.first + portion.count
    return False


def call_of(runner: Runner, held: Held) -> tuple[SingleCall, BatchApi]:
    """How the batch's inputs are asked, at the price of its provider's batch API."""
    run = runner.prepare(held.principal, held.batch.options)
    api = run.model.batches
    if api is None:
        raise ModelUnavailable("The model's provider has no batch API any more.", reason="not_found", permanent=True)
    return SingleCall.of(run, share_of(run.model.price, api.share)), api


def provider_answers(run: RunContext) -> bool:
    """Whether what the run asks is one call, without tools, of one model whose provider has a batch API."""
    return run.router is None and not run.tools.registry and run.model.batches is not None
