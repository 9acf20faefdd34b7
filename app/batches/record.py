"""What is kept of a batch, as values. Times are in seconds since the epoch, by the store's clock; 0: not yet."""

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import msgspec
from msgspec import Raw, Struct

from app.durable.record import Caller
from app.limits.calls import Call
from app.messages import NANOS, Usage
from app.models.batching import Outcome
from app.runs.request import RunRequest

BatchStatus = Literal["queued", "running", "cancelling", "ended", "cancelled", "expired"]
OVER: frozenset[BatchStatus] = frozenset({"ended", "cancelled", "expired"})

Way = Literal["provider", "queue"]
"""Through the provider's batch API, or each input as a run of low priority."""

OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

encode = msgspec.json.Encoder().encode


class Input(Struct, frozen=True, array_like=True):
    custom_id: str
    message: str


class NewBatch(Struct, frozen=True):
    id: str
    owner: str
    """As app/durable/callers.py: `owner_of`."""
    caller: Caller
    options: RunRequest
    """What all inputs are asked with; their messages are in the list of inputs."""
    way: Way
    request_id: str
    traceparent: str
    inputs: int
    start_at: float = 0.0


class Rest(Struct, frozen=True):
    """What became of all inputs that were not begun, when that is clear for all of them."""

    outcome: Outcome
    error: bytes
    """A problem, as JSON."""


class Portion(Struct, frozen=True):
    """Inputs that were sent to the provider together."""

    number: int
    first: int
    """The place of the first input."""
    count: int
    sent: int
    """Without those that were refused here."""
    at: float
    """Just before they were sent; 0: the provider surely does not have them."""
    provider_id: str = ""
    """Empty: it is not known whether the provider has them."""
    cancelled: bool = False
    done: bool = False


class Batch(Struct, frozen=True):
    id: str
    owner: str
    caller: Caller
    options: RunRequest
    way: Way
    status: BatchStatus
    request_id: str
    traceparent: str
    inputs: int
    created_at: float
    start_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    next: int = 0
    """The place of the first input that was not begun."""
    claims: int = 0
    tries: int = 0
    """Steps since one came to its end."""
    failures: int = 0
    """Steps since one got on."""
    rest: Rest | None = None
    counts: Mapping[Outcome, int] = {}
    usage: Usage = Usage()
    nanos: int = 0
    open: Mapping[int, bool] = {}
    """By the queue: places of inputs whose runs are not known to be over, and whether the run is known to be there."""

    @property
    def cost_usd(self) -> float:
        return self.nanos / NANOS

    @property
    def done(self) -> int:
        """Inputs with a result."""
        return sum(self.counts.values())

    @property
    def cancelling(self) -> bool:
        return self.status == "cancelling"


class Result(Struct, frozen=True):
    """A line of a batch's results: either an `answer` or an `error`."""

    custom_id: str
    run_id: str | None = None
    """None: the provider answered it without a run of this service."""
    answer: str | None = None
    finish_reason: str | None = None
    model: str | None = None
    error: Raw | None = None
    """A problem."""
    usage: Usage | None = None
    """None: not known."""
    cost_usd: float = 0.0


class Resulted(Struct, frozen=True):
    """A result on its way into the store."""

    place: int
    outcome: Outcome
    result: Result
    model: str = ""
    """With its usage: what is to be counted."""
    nanos: int = 0


class Change(Struct, frozen=True):
    """What one script makes of a batch, or none of it."""

    fields: Mapping[str, str | bytes | int] = {}
    portions: Sequence[Portion] = ()
    dropped: Sequence[int] = ()
    """Numbers of portions that were not sent after all."""
    results: Sequence[Resulted] = ()
    """Those that are there already are passed over."""
    settlement: Call | None = None
    """Of the portion that the results belong to, without steps: these are the results."""
