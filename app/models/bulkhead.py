"""How many calls of one model are open at once in this process, and a short queue of those that wait for a place."""

import asyncio
import math

from app.errors import ModelUnavailable
from app.telemetry import metrics

_SMOOTHING = 0.2  # of the newest interval between places that became free
_SHORTEST_RETRY_SECONDS, _LONGEST_RETRY_SECONDS = 1.0, 30.0


class Bulkhead:
    """`enter` before a call and `leave` after it. First come, first served; who leaves hands the place to the next.

    A call that would come too late is not made: it is refused when the queue is full or cannot be reached in time,
    judged by how often places became free lately, and it is dropped from the queue when its time is over.
    """

    def __init__(self, ref: str, max_calls: int, max_queued: int) -> None:
        self._max_calls = max_calls
        self._max_queued = max_queued
        self._waiting: dict[asyncio.Future[None], float] = {}  # until when each waits, in order of arrival
        self.open = 0
        """Calls that have a place."""
        self._interval = 0.0  # seconds between two places that become free while all are taken; 0: not known
        self._full_since = 0.0  # or since the last place became free, if that is later
        metrics.MODEL_CALLS_OPEN.labels(ref).set_function(lambda: self.open)
        metrics.MODEL_QUEUE_DEPTH.labels(ref).set_function(lambda: self.depth)

    @property
    def depth(self) -> int:
        """Calls that wait."""
        return len(self._waiting)

    async def enter(self, ends_at: float = math.inf) -> None:
        """Take a place, after waiting for one until `ends_at` (the event loop's time) if need be.

        Raises ModelUnavailable with the reason `busy`; then, and when cancelled, no place is taken.
        """
        if self.open < self._max_calls:
            self.open += 1
            if self.open == self._max_calls:
                self._full_since = asyncio.get_running_loop().time()
            return
        await self._wait(ends_at)

    def leave(self) -> None:
        """Give a place back, or to the first in the queue who still has time."""
        now = asyncio.get_running_loop().time()
        if self.open == self._max_calls:
            self._measure(now)
        while self._waiting:
            place = next(iter(self._waiting))
            ends_at = self._waiting.pop(place)
            if ends_at > now and not place.done():
                place.set_result(None)
                return
        self.open -= 1

    async def _wait(self, ends_at: float) -> None:
        loop = asyncio.get_running_loop()
        seconds = (self.depth + 1) * self._interval
        if self.depth >= self._max_queued or loop.time() + seconds >= ends_at:
            raise self._busy()
        place: asyncio.Future[None] = loop.create_future()
        self._waiting[place] = ends_at
        try:
            async with asyncio.timeout_at(None if ends_at == math.inf else ends_at):
                await place
        except BaseException as error:
            if place.done() and not place.cancelled():  # it was given in the same moment
                self.leave()
            self._waiting.pop(place, None)
            if isinstance(error, TimeoutError):
                raise self._busy() from None
            raise

    def _measure(self, now: float) -> None:
        interval = now - self._full_since
        self._interval = self._interval + _SMOOTHING * (interval - self._interval) if self._interval else interval
        self._full_since = now

    def _busy(self) -> ModelUnavailable:
        """Retry-After is the time after which the queue of now will be gone."""
        seconds = (self.depth + 1) * self._interval
        return ModelUnavailable(
            "The model has as many calls open as it may have, and the queue is too long. Try again later.",
            reason="busy",
            retry_after=min(max(_SHORTEST_RETRY_SECONDS, seconds), _LONGEST_RETRY_SECONDS),
        )
