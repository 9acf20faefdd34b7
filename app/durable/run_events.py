"""The events of a run for one reader, who may ask for the first of them before the others."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from app.durable.follower import Follower
from app.durable.record import News, Numbered


class Followed(Protocol):
    """A run that somebody in this process reads."""

    async def wait_until_told(self) -> None:
        """For a moment: without a channel, readers look at the store."""


class Source(Protocol):
    """Where events come from: what is in the store, and what is written meanwhile."""

    def join(self, run_id: str, follower: Follower) -> Followed:
        """Have the follower told what is written from now on."""

    def leave(self, run_id: str, follower: Follower) -> None:
        """And no more."""

    async def look(self, owner: str, run_id: str, after: int) -> News:
        """What is in the store. Raises NotFound, EventsGone, StateUnavailable."""


class RunEvents:
    """Iterates over batches; the last one ends with the run's last event. To be closed."""

    def __init__(self, source: Source, owner: str, run_id: str, after: int, *, new: bool) -> None:
        self._source, self._owner, self._run_id = source, owner, run_id
        self._follower = Follower(after, behind=not new)
        self._followed: Followed | None = None
        self._ahead: Sequence[Numbered] = ()

    def begin(self) -> Followed:
        """Wait for events from now on."""
        if self._followed is None:
            self._followed = self._source.join(self._run_id, self._follower)
        return self._followed

    async def first(self, seconds: float) -> Sequence[Numbered]:
        """The first events, if they come in that time. They are still told."""
        try:
            async with asyncio.timeout(seconds):
                self._ahead = await anext(self, ())
        except TimeoutError:
            return ()
        return self._ahead

    def __aiter__(self) -> "RunEvents":
        return self

    async def __anext__(self) -> Sequence[Numbered]:
        if self._ahead:
            batch, self._ahead = self._ahead, ()
            return batch
        if self._followed is None:
            await self.begin().wait_until_told()
        follower = self._follower
        while not follower.over:
            if follower.behind:
                await self._look()
            else:
                await follower.news.wait()
            if batch := follower.take():
                return batch
        raise StopAsyncIteration

    async def _look(self) -> None:
        follower = self._follower
        follower.looks()
        try:
            follower.looked(await self._source.look(self._owner, self._run_id, follower.after))
        except asyncio.CancelledError:
            follower.fall_behind()
            raise

    async def aclose(self) -> None:
        if self._followed is not None:
            self._followed = None
            self._source.leave(self._run_id, self._follower)
