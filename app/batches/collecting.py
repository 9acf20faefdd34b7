"""What a provider has made of a portion: read, turned into results, settled with them."""

from collections.abc import Sequence

from msgspec import Raw
from msgspec.structs import replace

from app.batches.accounts import Accounts
from app.batches.gathering import place_of
from app.batches.held import Held
from app.batches.record import Change, Portion, Result, Resulted
from app.errors import AppError, ModelUnavailable, RunCancelled, RunExpired
from app.limits.wire import Admission
from app.messages import NANOS
from app.models.batching import Answered, BatchApi, Outcome
from app.runs.single import SingleCall

_AT_ONCE = 200  # results in one write

_EXPIRED = RunExpired("The provider did not answer this within a day. Send it again.")
_LOST = ModelUnavailable("The provider lost this. Send it again.", reason="broken_answer")


class Collector:
    """One step's."""

    def __init__(self, accounts: Accounts, held: Held, call: SingleCall, api: BatchApi) -> None:
        self._accounts = accounts
        self._held = held
        self._call = call
        self._api = api

    async def collect(self, portion: Portion, reserved: Admission) -> None:
        """Keep and settle the results of a portion that has ended. Whoever does so again counts nothing twice."""
        batch_id, first = self._held.batch.id, portion.first
        names = await self._names(portion)
        results: list[Resulted] = []
        async for answered in self._api.results(portion.provider_id):
            place = place_of(batch_id, answered.custom_id)
            if place is None or not first <= place < first + portion.count:
                continue
            results.append(self._resulted(place, names[place - first], answered))
            if len(results) == _AT_ONCE:
                await self._write(portion, reserved, results)
                results = []
        await self._write(portion, reserved, results)
        await self.close(portion, reserved, "failed", _LOST)

    async def close(self, portion: Portion, reserved: Admission, outcome: Outcome, error: AppError) -> None:
        """End a portion, whose inputs without a result come to this."""
        held, names = self._held, await self._names(portion)
        problem = Raw(held.problem(error))
        for at in range(0, portion.count, _AT_ONCE):
            first = portion.first + at
            known = await held.records.results(held.batch.id, first, min(_AT_ONCE, portion.count - at))
            lacking = [
                Resulted(first + n, outcome, Result(names[at + n], error=problem))
                for n, result in enumerate(known)
                if result is None
            ]
            await held.write(Change(results=lacking))
        await self._write(replace(portion, done=True), reserved, (), over=True)

    async def _write(
        self, portion: Portion, reserved: Admission, results: Sequence[Resulted], *, over: bool = False
    ) -> None:
        held = self._held
        reservation, call = self._accounts.settlement(held.batch, held.principal, portion.number, reserved, over=over)
        written = await held.write(Change(portions=[portion] if over else (), results=results, settlement=call))
        self._accounts.settled(reservation, results, written)

    async def _names(self, portion: Portion) -> Sequence[str]:
        inputs = await self._held.records.inputs(self._held.batch.id, portion.first, portion.count)
        return [each.custom_id for each in inputs]

    def _resulted(self, place: int, name: str, answered: Answered) -> Resulted:
        """A line of the results. An answer that is no use is paid for all the same."""
        completion = answered.completion
        if completion is None:
            error = answered.error or _ERRORS.get(answered.outcome, _LOST)
            return Resulted(place, answered.outcome, Result(name, error=Raw(self._held.problem(error))))
        ref, usage = self._call.model.ref, completion.usage
        nanos = round(self._call.costs.price.cost_usd(usage) * NANOS)
        used = Result(name, model=ref, usage=usage, cost_usd=nanos / NANOS)
        try:
            said = self._call.answered(answered.text, completion)
        except AppError as error:
            failed = replace(used, error=Raw(self._held.problem(error)))
            return Resulted(place, "failed", failed, ref, nanos)
        return Resulted(
            place, "succeeded", replace(used, answer=said.text, finish_reason=said.finish_reason), ref, nanos
        )


_ERRORS: dict[Outcome, AppError] = {"cancelled": RunCancelled(), "expired": _EXPIRED}
