"""The next inputs of a batch that go to its provider together, encoded, with what they may cost."""

from msgspec import Raw, Struct

from app.batches.accounts import fitting
from app.batches.held import Held
from app.batches.record import Result, Resulted
from app.batches.records import BatchTaken
from app.errors import AppError
from app.limits.allowance import Amount, Growth
from app.limits.wire import Admission
from app.models.batching import BatchApi
from app.runs.single import SingleCall

_AT_ONCE = 500  # inputs read in one round trip


class Gathered(Struct):
    """`requests` and `amounts` are of the same inputs, whose `places` have none between them but those of `refused`."""

    first: int
    requests: list[bytes] = []
    places: list[int] = []
    amounts: list[Amount] = []
    refused: list[Resulted] = []
    """Inputs that no run could be made of."""
    end: int = 0
    """The place after the last one."""

    @property
    def wanted(self) -> Growth:
        """All of it, or at least the first input."""
        tokens = sum([tokens for tokens, _ in self.amounts])
        nanos = sum([nanos for _, nanos in self.amounts])
        return Growth((tokens, nanos), self.amounts[0] if self.amounts else (0, 0))

    def cut(self, admission: Admission) -> None:
        """Leave out what is not reserved."""
        count = fitting(self.amounts, admission)
        if count < len(self.places):
            self.end = self.places[count]
            self.refused = [refused for refused in self.refused if refused.place < self.end]
            del self.requests[count:], self.places[count:], self.amounts[count:]


async def gather(held: Held, call: SingleCall, api: BatchApi, first: int, end: int) -> Gathered:
    """The inputs of these places, or as many from the first on as the provider takes."""
    batch = held.batch
    found = Gathered(first, end=first)
    size = 0
    while found.end < end:
        inputs = await held.records.inputs(batch.id, found.end, min(_AT_ONCE, end - found.end))
        if not inputs:
            raise BatchTaken(batch.id)  # the store has lost them
        for each in inputs:
            try:
                asking = call.ask(each.message)
            except AppError as error:
                result = Result(each.custom_id, error=Raw(held.problem(error)))
                found.refused.append(Resulted(found.end, "failed", result))
            else:
                request = api.encode(custom_id(batch.id, found.end), asking.request)
                size += len(request)
                if found.requests and (size > api.most_bytes or len(found.requests) == api.most_requests):
                    return found
                found.requests.append(request)
                found.places.append(found.end)
                found.amounts.append(asking.most)
            found.end += 1
    return found


def custom_id(batch_id: str, place: int) -> str:
    """What the provider knows an input by: never the caller's own words, and such that it tells whose batch it is."""
    return f"{batch_id}_{place}"


def place_of(batch_id: str, given: str) -> int | None:
    """None: it is no input of this batch."""
    start, _, place = given.rpartition("_")
    return int(place) if start == batch_id and place.isdecimal() else None
