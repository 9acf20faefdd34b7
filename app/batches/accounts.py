"""What portions of a batch hold of budgets while their provider works on them, and what they are charged."""

from collections.abc import Sequence
from datetime import timedelta

from app.access.principal import Principal
from app.batches.changes import Written
from app.batches.record import Batch, Resulted
from app.batches.records import BatchRecords
from app.limits.allowance import Amount, Growth
from app.limits.calls import Call, Calls
from app.limits.limiter import BATCHES, Limiter
from app.limits.reservation import Reservation
from app.limits.wire import Admission
from app.models.call_records import Attempt, count_answer
from app.settings import Settings

HELD_SECONDS = timedelta(hours=26).total_seconds()
"""How long a reservation is held without anybody's doing: providers end a batch within 24 hours, and charge for it
whether or not a worker of ours is there. So none has to be there to keep it."""


class Accounts:
    """Built once a process."""

    def __init__(self, records: BatchRecords, limiter: Limiter, settings: Settings) -> None:
        self._records = records
        self._limiter = limiter
        self._calls = Calls(HELD_SECONDS, settings.usage_days * 86_400)

    async def reserve(
        self, batch: Batch, principal: Principal, number: int, wanted: Growth
    ) -> tuple[Reservation, Admission]:
        """What the portion may use; a refusal is in the admission. Asked again, it is what it was."""
        checks = self._limiter.budgets_of(principal, wanted.wanted)
        reservation = Reservation.begin(_id(batch, number), BATCHES, checks, wanted, wanted.wanted)
        admission = await self._records.reserve(batch, number, self._calls.admission(reservation))
        return reservation, admission

    def settlement(
        self, batch: Batch, principal: Principal, number: int, held: Admission, *, over: bool
    ) -> tuple[Reservation, Call]:
        """As a change has it; when it is `over`, what is left is given back."""
        most = (max(held.tokens, 1), max(held.nanos, 1))
        checks = self._limiter.budgets_of(principal, most)
        reservation = Reservation.begin(_id(batch, number), BATCHES, checks, Growth(most, most), most)
        reservation.day, reservation.ended = held.day, over
        return reservation, self._calls.settlement(reservation)

    def settled(self, reservation: Reservation, results: Sequence[Resulted], written: Written) -> None:
        """Have metrics and the log know of what was new."""
        new = frozenset(written.new)
        for resulted in results:
            if resulted.place in new and resulted.model and resulted.result.usage is not None:
                count_answer(Attempt(resulted.model, resulted.result.usage, resulted.nanos))
        self._limiter.observe(reservation, written.settlement)


def fitting(amounts: Sequence[Amount], admission: Admission) -> int:
    """How many of these, from the first on, what is held suffices for. Without budgets: all."""
    if not admission.budgets:
        return len(amounts)
    tokens, nanos = admission.tokens, admission.nanos
    for place, (of_tokens, of_nanos) in enumerate(amounts):
        tokens, nanos = tokens - of_tokens, nanos - of_nanos
        if tokens < 0 or nanos < 0:
            return place
    return len(amounts)


def _id(batch: Batch, number: int) -> str:
    return f"{batch.id}.{number}"
