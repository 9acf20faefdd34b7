"""The records of runs in the store: each method is one script, atomic, on the store's clock."""

from collections.abc import Sequence

from app.durable.record import (
    Claim,
    Claimed,
    Created,
    Ending,
    NewRun,
    Numbered,
    Page,
    Record,
    RunStatus,
    Write,
    Written,
)
from app.settings import Settings
from app.state.store import Store


class Records:
    """Built once a process. Every method raises StateUnavailable when the store does not answer."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings

    async def create(self, new: NewRun) -> Created:
        """Keep a run, or find the one that its Idempotency-Key made within 24 h. With `on_busy` `interrupt` the
        session's runs are asked to end, and this one is next. Raises SessionBusy, KeyReused, TooManyRuns."""
        raise NotImplementedError

    async def read(self, owner: str, run_id: str) -> Record | None:
        """None: no such run of this owner's."""
        raise NotImplementedError

    async def list(
        self, owner: str, *, session: str = "", status: RunStatus | None = None, cursor: str = "", limit: int = 20
    ) -> Page:
        """The owner's runs, newest first; those of batches are not among them."""
        raise NotImplementedError

    async def claim(self, run_id: str) -> Claimed | None:
        """Take a run that is due and that nobody has. None: it is over, is not due, has a worker that lives, or waits
        for another run of its session. One whose lease has run out counts as a crash; after `run_crashes` of them it
        is failed instead (`RunCrashed`), with its last event and its delivery."""
        raise NotImplementedError

    async def renew(self, claims: Sequence[Claim]) -> Sequence[tuple[Claim, bool]]:
        """Keep these for another lease. Returns those that still hold, each with whether it is to be cancelled."""
        raise NotImplementedError

    async def write(self, write: Write) -> Written:
        """Raises RunTaken for a claim that does not hold any more: nothing of it is written then."""
        raise NotImplementedError

    async def hand_back(self, claim: Claim, *, after_seconds: float = 0.0) -> None:
        """Let go of a run that is not over, without counting a crash: it is due again then."""
        raise NotImplementedError

    async def cancel(self, owner: str, run_id: str) -> RunStatus | None:
        """Returns the status before; None: no such run. A run that nobody has is cancelled at once, with its last
        event; one that is worked on is told (`cancelling`), at once over following.py's channel; one that was over stays."""
        raise NotImplementedError

    async def events(self, owner: str, run_id: str, after: int, limit: int = 1_000) -> Sequence[Numbered]:
        """Events after this number, oldest first; a finished run's last one ends them. Raises NotFound, and EventsGone
        where events after it were trimmed, or the number is larger than the last one's."""
        raise NotImplementedError

    async def due(self, limit: int = 100) -> Sequence[str]:
        """Runs that are not over, whose time has come and that no living worker has: for the reconciler. Those that
        waited longer than RUN_QUEUE_SECONDS end as `expired` here."""
        raise NotImplementedError

    async def queue_age(self) -> float:
        """For how many seconds the oldest run that is due has waited for a worker; 0: none waits."""
        raise NotImplementedError

    async def volatile(self) -> bool:
        """Whether a restart of the store loses runs: it has no append-only file."""
        raise NotImplementedError


__all__ = ["Claim", "Ending", "Records"]
