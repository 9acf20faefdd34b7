"""What is kept of a run: the record in the store, as values."""

from collections.abc import Mapping, Sequence
from typing import Literal

from msgspec import Struct

from app.limits.calls import Call
from app.limits.wire import Admission, Settlement
from app.runs.request import RunRequest

RunStatus = Literal["queued", "running", "waiting", "succeeded", "failed", "cancelled", "expired"]
OVER: frozenset[RunStatus] = frozenset({"succeeded", "failed", "cancelled", "expired"})

OnBusy = Literal["reject", "enqueue", "interrupt"]
"""What becomes of a run whose session has one that is not over."""

SOON, LATER = 0, 9
"""Priorities: of runs that somebody waits for, and of batches."""


class Webhook(Struct, frozen=True):
    """Whom to tell of a run's end. `secret` names one of WEBHOOK_SECRETS_DIR: the secret itself is never kept."""

    url: str
    secret: str


class Caller(Struct, frozen=True):
    """A principal as it is kept: what they proved who they are with is told by a name, never by itself."""

    user: str
    team: str | None
    tier: str
    scopes: tuple[str, ...]
    address: str
    peer: str
    authenticated: bool
    key: str = ""
    """The fingerprint (SHA-256) of the API key, which must still hold when a worker begins; empty: a token, nobody."""


class Work(Struct, frozen=True):
    """All that a process needs to begin a run or to go on with it."""

    run_id: str
    session_id: str
    caller: Caller
    request: RunRequest
    request_id: str
    traceparent: str
    """Of the span that all spans of the run are below, whichever process makes them."""
    webhook: Webhook | None = None
    batch: str = ""
    """The batch that the run is part of."""
    plain: bool = False
    """See Keeping."""


class NewRun(Struct, frozen=True):
    """A run that is to be created. Times are in seconds since the epoch, by the store's clock; 0: now, or never."""

    work: Work
    owner: str
    """As callers.py: `owner_of`. Part of every key: nobody reads what is another's."""
    agent: str
    session: str = ""
    """That the caller named: of one session, one run goes on at a time. Empty: they named none."""
    on_busy: OnBusy = "reject"
    start_at: float = 0.0
    priority: int = SOON
    idempotency_key: str = ""
    fingerprint: str = ""
    """Of the body that came with the key."""
    here: bool = False
    """The creating process works on it at once, and holds its lease: a stream that can be resumed."""
    counting: Call | None = None
    """As admit.lua takes it: what the run is counted towards, before it is created."""
    admitting: Call | None = None
    """Likewise: what it holds, if it begins."""


class Claim(Struct, frozen=True):
    """The right to write: each acquisition has a fresh, larger number, and writes with an older one are refused."""

    run_id: str
    number: int


class Created(Struct, frozen=True):
    run_id: str
    replayed: bool = False
    """The Idempotency-Key was known: this is the run that it made."""
    claim: Claim | None = None
    """With `here`, unless it waits for another run of its session: whichever worker is free takes it then."""
    status: RunStatus = "queued"
    created_at: float = 0.0
    priority: int = SOON
    """Lower than it was made with, where its owner has many that are not over."""
    counted: Admission | None = None
    """The reply to `counting`."""
    admitted: Admission | None = None
    """The reply to `admitting`, of a run that begins; it may be a refusal, which is the run's end, or has it wait."""


class Record(Struct, frozen=True):
    """What the store knows of a run. Times are in seconds since the epoch; 0: not yet."""

    work: Work
    owner: str
    agent: str
    status: RunStatus
    created_at: float
    start_at: float = 0.0
    started_at: float = 0.0
    """The first worker began it."""
    ended_at: float = 0.0
    priority: int = SOON
    claims: int = 0
    """How often a worker has taken it."""
    crashes: int = 0
    """How many of these died."""
    last_event: int = 0
    """Events are numbered from 1."""
    kept_event: int = 0
    """The last event that went together with steps: what came after it belongs to a model call that had no end."""
    steps: int = 0
    carried: bytes = b""
    """What the next worker needs beside the steps, as JSON (see journal.py): the reservation, the span to link to."""
    answer: bytes = b""
    """JSON of the Answer, of a run that succeeded."""
    error: bytes = b""
    """Of one that did not: its error, as event_codec.py encodes it."""
    cancelling: bool = False
    waiting_since: float = 0.0
    """For a person's decision, of a run that is `waiting`."""
    waits_until: float = 0.0
    """It is `expired` then."""
    waited_seconds: float = 0.0
    """For decisions that were made."""


class Claimed(Struct, frozen=True):
    """A run that this process has: everything to go on from."""

    claim: Claim
    record: Record
    steps: tuple[bytes, ...]
    """JSON of each Step (app/runs/steps.py) so far, in order. They are gone when the run is over."""
    safe_until: float = 0.0
    """time.monotonic() up to which nobody else can take it: half of its lease, so that what is sent arrives in time."""


class Ending(Struct, frozen=True):
    """What a run came to; `waiting`: it is not over, and goes on after a decision."""

    status: RunStatus
    answer: bytes = b""
    error: bytes = b""
    delivery: bytes = b""
    """What the outbox gets, in the same script: see webhooks/."""
    work: bytes = b""
    """Replaces the record's, which has what the caller wrote: see ended.py."""


class Asked(Struct, frozen=True):
    """An approval that is to be kept."""

    approval_id: str
    team: str
    """Of the requester, or empty: who may see it."""
    tool: str
    binding: str
    expires_at: float
    approval: bytes
    """JSON of the Approval (see approvals/record.py), as it is asked for."""


class Consumed(Struct, frozen=True):
    """An approval that a call uses up."""

    approval_id: str
    binding: str


class Write(Struct, frozen=True):
    """What one script makes durable, or none of it. Sent again after a lost reply it counts once: what is numbered and
    is there already is passed over."""

    claim: Claim
    first_step: int = 0
    """The number of the first of `steps`, from 1."""
    steps: tuple[bytes, ...] = ()
    first_event: int = 0
    events: tuple[bytes, ...] = ()
    """Encoded: see event_codec.py. All that come with steps are kept with them (`kept_event`): what a later model call
    has emitted goes in the next write."""
    carried: bytes = b""
    """Replaces the record's; empty: that stays."""
    settlement: Call | None = None
    """As settle.lua takes it."""
    asked: tuple[Asked, ...] = ()
    consumed: tuple[Consumed, ...] = ()
    """Unless each is approved, in time, and for exactly that, nothing of the write is made durable."""
    ending: Ending | None = None
    waits_until: float = 0.0
    """With an ending that is none, `waiting`: it is left until a person has decided on all that was asked."""


class Written(Struct, frozen=True):
    settlement: Settlement | None = None
    cancelling: bool = False
    """Somebody wants the run to end."""
    next: str = ""
    """The run of its session that is due now, since this one is over: it is rung (see Records.on_due)."""


class Page(Struct, frozen=True):
    """Newest first."""

    runs: tuple[Record, ...]
    next: str = ""
    """The cursor of the page after this one."""


class RunTaken(Exception):
    """Another worker has the run, or it is over, or the store has lost it: whoever sees this stops, and writes no
    more. `lost`: the store does not know the run."""

    def __init__(self, run_id: str, *, lost: bool = False) -> None:
        super().__init__(f"run {run_id} is {'lost' if lost else 'taken'}")
        self.lost = lost


class Uncounted(Exception):
    """The caller's rates do not allow the run: it was not created."""

    def __init__(self, admission: Admission) -> None:
        super().__init__("the rates of its caller do not allow the run")
        self.admission = admission


class Unapproved(Exception):
    """Approvals that calls were to use up do not hold any more: nothing was written."""

    def __init__(self, approvals: Sequence[str]) -> None:
        super().__init__(*approvals)
        self.approvals = approvals


Numbered = tuple[int, bytes]
"""An event with its number, encoded."""


class News(Struct, frozen=True):
    """What a follower of a run has not seen yet."""

    events: tuple[Numbered, ...]
    more: bool
    """There are further events in the store."""
    over: bool
    """These are the last of a run that is over."""


Fields = Mapping[bytes, bytes]
