"""Single flight: of equal requests at the same time one makes the answer, and the others wait for it.

In a process the first request asks the store, and the others wait for what it learns; between processes it looks again,
after pauses of up to MAX_PAUSE_SECONDS. A lead that its process no longer renews falls to the next that looks. A leader
whose client has left makes the answer all the same, as long as others wait for it.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from app.errors import StateUnavailable
from app.state.answer_cache import LEAD_SECONDS, AnswerCache, Found, KeptAnswer

MIN_PAUSE_SECONDS, MAX_PAUSE_SECONDS = 0.02, 0.25

LOOK_SECONDS = 0.25
"""How often a leader without a client looks whether anybody waits."""

_RENEW_SECONDS = LEAD_SECONDS / 3
_ALONE = Found("alone")


class Flights:
    """Built once a process."""

    def __init__(self, cache: AnswerCache) -> None:
        self.cache = cache
        self.heads: dict[str, Flight] = {}
        """By key, whom the process's other requests wait for."""

    def begin(self, key: str, asker: str, fresh_seconds: float) -> "Flight":
        """The place of a request, which `leave` has to give back. What it asks of the store leaves now."""
        return Flight(self, key, asker, fresh_seconds)


class Flight:
    """One request's place among the equal ones."""

    def __init__(self, flights: Flights, key: str, asker: str, fresh_seconds: float) -> None:
        self._cache, self._heads = flights.cache, flights.heads
        self.key = key
        self._asker = asker
        self._fresh_seconds = fresh_seconds
        self._leads = False
        self._renewal: asyncio.TimerHandle | None = None
        self._over: asyncio.Event | None = None
        self._learned: Found | None = None
        self._followers = 0  # in this process
        self._marked = False  # in the store, as a follower
        self._staying: asyncio.Task[None] | None = None
        self.absent = False
        """The answer was not there yet when the request came."""
        self._asked = self._ask() if self._heads.setdefault(key, self) is self else None

    def _ask(self) -> Coroutine[Any, Any, Found]:
        return self._cache.find(self.key, self._asker, self._fresh_seconds)

    async def find(self) -> Found:
        """The answer, as soon as there is one, or `lead` or `alone`: the request is to make it. Raises
        StateUnavailable."""
        try:
            return await self._find()
        except StateUnavailable:
            self._marked, self._asked = False, None
            self._end(None)
            raise
        except BaseException:
            self.leave()
            raise

    async def _find(self) -> Found:
        pause = MIN_PAUSE_SECONDS
        while True:
            head = self._heads.setdefault(self.key, self)
            if head is not self:
                learned = await head.learned()
                self.absent = self.absent or head.absent
                if learned is not None:
                    return learned
                continue
            self._asked = self._asked or self._ask()
            found = await self._asked
            self._asked = None
            self._marked = found.status == "wait"
            if found.status == "kept" or found.status == "alone":
                self._end(found)
                return found
            self.absent = True
            if found.status == "lead":
                self._lead()
                return found
            await asyncio.sleep(pause)
            pause = min(pause * 2, MAX_PAUSE_SECONDS)

    async def learned(self) -> Found | None:
        """What this request has learned, for another; None if it left before."""
        if self._over is None:
            self._over = asyncio.Event()
        self._followers += 1
        try:
            await self._over.wait()
        finally:
            self._followers -= 1
        return self._learned

    def outlive(self, end: Callable[[], None]) -> bool:
        """Whether the request leads, and so goes on without its client as long as others wait for the answer: `end` is
        called when nobody does."""
        if self._leads and self._staying is None:
            self._staying = asyncio.create_task(self._stay(end))
        return self._leads

    async def _stay(self, end: Callable[[], None]) -> None:
        while self._followers or await self._is_awaited_elsewhere():  # noqa: ASYNC110 - other processes tell nobody
            await asyncio.sleep(LOOK_SECONDS)
        end()

    async def _is_awaited_elsewhere(self) -> bool:
        try:
            async with asyncio.timeout(2 * LOOK_SECONDS):
                return await self._cache.awaited(self.key, self._asker)
        except (StateUnavailable, TimeoutError):
            return False

    def _lead(self) -> None:
        self._leads = True
        self._renewal = asyncio.get_running_loop().call_later(_RENEW_SECONDS, self._renew)

    def _renew(self) -> None:
        self._cache.renew(self.key, self._asker)
        self._lead()

    def land(self, answer: KeptAnswer | None, seconds: float) -> None:
        """The request has made the answer, to be kept so long. None: one that may not be kept."""
        kept = answer is not None and self._cache.keep(self.key, self._asker, answer, seconds)
        if self._leads and not kept:
            self._cache.release(self.key, self._asker, alone=True)
        self._leads = False
        self._end(Found("kept", answer) if kept else _ALONE)

    def leave(self) -> None:
        """Give the place back. Another takes the lead if this request had it and has not landed."""
        if self._leads or self._marked or self._asked is not None:
            self._cache.release(self.key, self._asker)
        if self._asked is not None:
            self._asked.close()
        self._leads, self._marked, self._asked = False, False, None
        self._end(None)

    def _end(self, learned: Found | None) -> None:
        if self._renewal is not None:
            self._renewal.cancel()
            self._renewal = None
        if self._staying is not None:
            self._staying.cancel()
            self._staying = None
        if self._heads.get(self.key) is self:
            del self._heads[self.key]
            self._learned = learned
            if self._over is not None:
                self._over.set()
