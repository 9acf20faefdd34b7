"""Readers of runs: what is in the store already, then what is written while they read."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress

from app.durable.follower import Follower
from app.durable.keys import CANCELS, channel
from app.durable.record import News
from app.durable.records import Records
from app.durable.run_events import RunEvents
from app.errors import StateUnavailable
from app.state.subscription import Subscription

POLL_SECONDS = 5.0
"""How often a run of which nothing is heard is looked at: a message may be lost."""

_READY_SECONDS = 0.05  # that a reader waits for the channel, so as to look at the store once and not twice
_AWAY_SECONDS = 60.0
_AGAIN_SECONDS = 0.5


class Following:
    """Built once a process. All its readers share one connection, which only runs need that other processes work on."""

    def __init__(self, records: Records, subscription: Subscription) -> None:
        self._records = records
        self._subscription = subscription
        self._followed: dict[str, _Followed] = {}
        self._here: set[str] = set()
        self._poll: asyncio.Task[None] | None = None
        self.followers = 0
        """Readers at the moment."""

    def follow(self, owner: str, run_id: str, after: int = 0, *, new: bool = False) -> RunEvents:
        """The run's events after this number, those together that are there together, up to its last one. Close it
        (`contextlib.aclosing`) where it is left before. `new`: this process is about to begin it, and tells them all.
        Raises NotFound, EventsGone, and StateUnavailable when the store has been away for a minute."""
        return RunEvents(self, owner, run_id, after, new=new)

    def tell(self, run_id: str, first: int, events: Sequence[bytes]) -> None:
        """Events that this process has written, encoded, from this number on: readers here have them at once."""
        if (followed := self._followed.get(run_id)) is not None:
            followed.tell(first, events)

    def works_on(self, run_id: str) -> None:
        """This process works on the run, and tells all that it writes: no channel is needed."""
        self._here.add(run_id)

    def leaves(self, run_id: str) -> None:
        """It does not any more: whoever has the run now tells of it in its channel."""
        self._here.discard(run_id)
        if (followed := self._followed.get(run_id)) is not None and not followed.complete:
            self._subscription.add(channel(run_id), followed)

    def on_cancel(self, cancel: Callable[[str], object]) -> None:
        """Call `cancel` with each run that is to be cancelled while a worker has it, whichever process has that."""
        self._subscription.add(CANCELS, _Cancels(cancel))

    async def aclose(self) -> None:
        if self._poll is not None:
            self._poll.cancel()
            await asyncio.wait([self._poll])
        await self._subscription.aclose()

    def join(self, run_id: str, follower: Follower) -> "_Followed":
        """Have the follower told what is written from now on."""
        followed = self._followed.get(run_id)
        if followed is None:
            followed = self._followed[run_id] = _Followed()
            if run_id in self._here:
                followed.ready.set()
            else:
                self._subscription.add(channel(run_id), followed)
        followed.followers.add(follower)
        self.followers += 1
        if self._poll is None or self._poll.done():
            self._poll = asyncio.create_task(self._look_around())
        return followed

    def leave(self, run_id: str, follower: Follower) -> None:
        """And no more."""
        followed = self._followed[run_id]
        followed.followers.discard(follower)
        self.followers -= 1
        if not followed.followers:
            del self._followed[run_id]
            self._subscription.remove(channel(run_id))

    async def look(self, owner: str, run_id: str, after: int) -> News:
        """What is in the store, which may be away for a while."""
        clock = asyncio.get_running_loop().time
        until = clock() + _AWAY_SECONDS
        while True:
            try:
                return await self._records.news(owner, run_id, after)
            except StateUnavailable:
                if clock() >= until:
                    raise
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _look_around(self) -> None:
        """Find what was missed, as long as there are readers."""
        while self._followed:
            for followed in self._followed.values():
                followed.heard_of = False
            await asyncio.sleep(POLL_SECONDS)
            silent = {name: followed for name, followed in self._followed.items() if not followed.heard_of}
            with suppress(StateUnavailable):
                for followed, last in zip(silent.values(), await self._records.last_events(silent), strict=True):
                    followed.compare(last)


class _Followed:
    """A run that somebody here reads."""

    def __init__(self) -> None:
        self.followers: set[Follower] = set()
        self.ready = asyncio.Event()
        """All that is written from now on is told."""
        self.heard_of = False

    async def wait_until_told(self) -> None:
        """For a moment: without a channel, readers look at the store."""
        if not self.ready.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(_READY_SECONDS):
                    await self.ready.wait()

    @property
    def complete(self) -> bool:
        return all(follower.complete for follower in self.followers)

    def tell(self, first: int, events: Sequence[bytes]) -> None:
        self.heard_of = True
        batch = list(enumerate(events, first))
        for follower in self.followers:
            follower.tell(batch)

    def heard(self, message: bytes) -> None:
        first, *events = message.split(b"\n")
        self.tell(int(first), events)

    def missed(self) -> None:
        self.ready.set()
        for follower in self.followers:
            follower.fall_behind()

    def compare(self, last: int | None) -> None:
        """`last`: the run's last event; None: the store does not know the run."""
        for follower in self.followers:
            if last is None or last > follower.told:
                follower.fall_behind()


class _Cancels:
    """Hears which runs are to be cancelled. What is missed is learned when leases are renewed."""

    def __init__(self, cancel: Callable[[str], object]) -> None:
        self._cancel = cancel

    def heard(self, message: bytes) -> None:
        self._cancel(message.decode())

    def missed(self) -> None: ...
