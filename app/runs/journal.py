"""Where the facts of a run are written down, so that another process can go on with it. A run that has no journal, as
most have none, writes nothing.

What is written together is there together or not at all: steps, the events that readers have seen with them, and the
settlement of what they cost.
"""

from collections.abc import Collection
from typing import Protocol

from msgspec import Struct

from app.limits.allowance import Amount, Growth
from app.runs.events import Event, RunFailed, RunFinished
from app.runs.steps import ApprovalGiven, Step


class Carried(Struct, frozen=True, omit_defaults=True):
    """What a worker needs of the one before it, beside the steps."""

    most: Amount = (0, 0)
    """That the run's own limits allow it in all."""
    day: str = ""
    """UTC, when it was admitted."""
    began: int | None = 0
    """When, for the session: see Sessions.append."""
    created_at: float = 0.0
    """Of its turn, in seconds since the epoch."""
    degraded: tuple[str, ...] = ()
    candidates: tuple[str, ...] = ()
    """The models that may answer, by preference."""
    model: str = ""
    """That answers, where the session's turn has to say so."""
    routed: bool = False
    """A router has chosen them."""
    traceparent: str = ""
    """Of the worker's span."""
    handed_back: bool = False
    """The worker has let go of the run, and did not die."""
    paused: bool = False
    """It has waited for a person's decision since."""
    cut_from: int = 0
    """It was within a model call then, whose first event has this number."""


class Earlier(Struct, frozen=True):
    """What the workers before have left of a run."""

    steps: tuple[Step, ...]
    carried: Carried
    discard_from: int
    """The number of the first event that was told of a call that had no end; that of the next event, if there is
    none."""
    seconds: float
    """Since the first worker began."""
    lost_text: str = ""
    """What the reader has of a model call that had no end."""
    given: tuple[ApprovalGiven, ...] = ()
    """What people have decided since."""
    lapsed: tuple[str, ...] = ()
    """Ids of calls that people were asked about, of which the store has nothing."""


class NotApproved(Exception):
    """The approvals that calls were to use up do not hold any more: nothing was written."""

    def __init__(self, approvals: Collection[str]) -> None:
        super().__init__(*approvals)
        self.approvals = frozenset(approvals)


class Journal(Protocol):
    """One run's, in this process. All but `emit` and `mark` end the task that calls them, by its cancellation, where
    the run has gone to another worker: it is `detached` then, and nothing is written, settled or counted any more."""

    earlier: Earlier | None
    """None: the run begins here."""
    seconds: float
    """That it may take, from its begin in the first process on."""
    waits: bool
    """For a place among the runs at once; else the run is refused where there is none, as one without a journal."""
    detached: bool
    leaving: bool
    """The run is to be handed back: the next `checkpoint` does it, unless it is in the middle of tools."""

    def emit(self, event: Event) -> None:
        """Let readers have an event, as soon as it is written."""

    def mark(self) -> None:
        """From the steps so far the run can go on elsewhere: they are written soon."""

    async def checkpoint(self, growth: Growth | None = None) -> None:
        """Return when the steps so far are written and what they cost is settled; with `growth`, that is reserved.
        Raises NotApproved."""

    async def hold(self) -> None:
        """Return when the run is this process's, so that what was said may be kept: a checkpoint, where that is not
        known without one."""

    async def now(self) -> float:
        """By the store's clock, in seconds since the epoch. Raises StateUnavailable."""

    async def pause(self, until: float) -> None:
        """The same, and leave the run, with what it holds given back, until a person has decided on each of its calls;
        in seconds since the epoch. Nothing ends the run any more meanwhile."""

    async def end(self, event: RunFinished | RunFailed) -> None:
        """The same, with the run's last event. Nothing ends the run any more meanwhile."""

    async def hand_back(self, after_seconds: float = 0.0) -> None:
        """Leave the run to other workers, from so many seconds on: it is `detached` then."""
