"""Batches through their provider's batch API: sent in portions, looked at now and then, settled as results are read.

The API of Anthropic knows no idempotency key. So that a portion is not paid twice, it is noted before it is sent; a
worker that finds such a note without the provider's id looks for the batch among the account's, and sends it again only
when there is none.
"""

from msgspec.structs import replace

from app.batches.accounts import Accounts
from app.batches.collecting import Collector
from app.batches.gathering import place_of
from app.batches.held import Held
from app.batches.record import Change, Portion
from app.batches.sending import BUSY_SECONDS, QUICK_SECONDS, Sender, Work, know
from app.errors import ModelUnavailable
from app.limits.wire import Admission
from app.models.batching import BatchApi, Submitted, share_of
from app.runs.context import RunContext
from app.runs.runner import Runner
from app.runs.single import SingleCall
from app.telemetry.logs import log

CLOCK_SECONDS = 300.0
"""By which the provider's clock and the store's may differ."""

GRACE_SECONDS = 60.0
"""After which a portion that the provider does not show was never taken."""

_SLOW_SECONDS = 60.0
"""Between two looks at a portion at most; before, it is a tenth of its age."""


class ProviderWay:
    """Built once a process."""

    def __init__(self, runner: Runner, accounts: Accounts, *, pace: float = 1.0) -> None:
        """Waits take `pace` times as long as they should."""
        self._runner = runner
        self._accounts = accounts
        self._sender = Sender(accounts)
        self._pace = pace

    async def step(self, held: Held) -> float | None:
        """Do what is to be done now. Returns seconds until the next step; None when nothing is left.

        Raises AppError for what another try may help with.
        """
        call, api = call_of(self._runner, held)
        work = Work(held, call, api, Collector(self._accounts, held, call, api))
        sent, reserved = await held.records.portions(held.batch.id)
        going = [portion for portion in sent if not portion.done]
        waits = [await self._follow(work, portion, reserved[portion.number]) for portion in going]
        if held.batch.way == "provider" and not held.begun and not held.batch.cancelling:
            waits.append(await self._sender.send(work, len(sent)))
        if held.batch.way == "queue":
            return 0.0
        return min(waits) * self._pace if waits else None

    async def _follow(self, work: Work, portion: Portion, reserved: Admission) -> float:
        held, api = work.held, work.api
        if not portion.provider_id:
            if portion.at:
                found = await self._find(held, api, portion)
                if isinstance(found, float):
                    return found
                portion = found if not found.provider_id else await know(held, portion, found.provider_id)
            if not portion.provider_id:
                return await self._sender.send_again(work, portion, reserved)
        submitted = await api.retrieve(portion.provider_id)
        if submitted.ended:
            await work.collector.collect(portion, reserved)
            return 0.0
        if held.batch.cancelling and not portion.cancelled:
            await api.cancel(portion.provider_id)
            await held.write(Change(portions=[replace(portion, cancelled=True)]))
        return min(max((held.now() - portion.at) / 10, QUICK_SECONDS), _SLOW_SECONDS)

    async def _find(self, held: Held, api: BatchApi, portion: Portion) -> Portion | float:
        """A portion that may have been sent, with its provider's id, or as one that surely was not; or how long to wait
        until it is looked for again."""
        unsure = False
        for submitted in await api.recent(portion.at - CLOCK_SECONDS):
            if submitted.requests != portion.sent:
                continue
            noted = await held.records.noted_at_provider(submitted.id)
            if noted == f"{held.batch.id}.{portion.number}":
                return replace(portion, provider_id=submitted.id)
            if noted:
                continue
            if not submitted.ended:
                unsure = True  # only results tell whose it is
            elif await _is_of(held, api, submitted, portion):
                return replace(portion, provider_id=submitted.id)
        if unsure or held.now() - portion.at < GRACE_SECONDS * self._pace:
            return _SLOW_SECONDS if unsure else BUSY_SECONDS
        log.warning("batch.sent_again", batch_id=held.batch.id, portion=portion.number)
        return replace(portion, at=0.0)


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
