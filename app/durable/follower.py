"""One reader of a run's events: which it has had, which wait for it, and whether it has to look at the store."""

import asyncio
from collections.abc import Sequence

from app.durable.event_codec import ends
from app.durable.record import News, Numbered

MOST_WAITING = 2_000
"""Events that wait for a slow reader; with more it looks at the store when it has time."""


class Follower:
    def __init__(self, after: int, *, behind: bool = True) -> None:
        self.after = after
        """The last event that the reader has had."""
        self.told = after
        """The last event that was told, or is known to be in the store."""
        self.behind = behind
        """There may be events in the store that it was not told."""
        self.over = False
        """Nothing will follow what it has had."""
        self.complete = False
        """It was told the run's last event."""
        self.news = asyncio.Event()
        self._waiting: list[Sequence[Numbered]] = []
        self._looking = False
        self._newest = 0

    def tell(self, batch: Sequence[Numbered]) -> None:
        """What was written. Batches may come twice, or be missing."""
        first, last = batch[0][0], batch[-1][0]
        if last <= self.told:
            return
        if self.behind or self._looking:
            self._newest = max(self._newest, last)
        elif first > self.told + 1 or self.told - self.after >= MOST_WAITING:
            self._waiting.clear()
            self.told = self.after
            self.fall_behind()
        else:
            self._give(batch[self.told + 1 - first :] if first <= self.told else batch)

    def fall_behind(self) -> None:
        self.behind = True
        self.news.set()

    def looks(self) -> None:
        """It looks at the store now; what it was told and has not had yet is there as well."""
        self._waiting.clear()
        self.behind, self._looking, self.complete = False, True, False
        self.told = self.after

    def looked(self, found: News) -> None:
        self._looking = False
        self.over = found.over and not found.events
        if found.events:
            self._give(found.events)
        self.behind = self.behind or found.more or self._newest > self.told
        self.complete = self.complete or found.over
        self.news.set()

    def _give(self, batch: Sequence[Numbered]) -> None:
        self._waiting.append(batch)
        self.told = batch[-1][0]
        self.complete = ends(batch[-1][1])
        self.news.set()

    def take(self) -> Sequence[Numbered]:
        """What waits for the reader."""
        if not self.behind:
            self.news.clear()
        batches, self._waiting = self._waiting, []
        if not batches:
            return ()
        batch = batches[0] if len(batches) == 1 else [event for each in batches for event in each]
        self.after = batch[-1][0]
        self.over = self.complete
        return batch
