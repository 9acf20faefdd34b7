"""SAQ's queues, of which nothing is used but the bell.

A job is a run's id: the beginning of its key, which is another each time, so that what a process left behind keeps no
bell from ringing. It is taken off the queue before the run is worked on, so nothing of SAQ's that is meant
for the time of the work (timeouts, heartbeats, retries, aborts, sweeps that run a job again) ever applies: the lease in
the run's record is what tells whether its worker lives. Its sweep only clears away what a process left behind that died
in between.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from math import ceil
from secrets import token_hex
from time import monotonic, time
from typing import TYPE_CHECKING

from app.durable.engine import Handler
from app.durable.engines.places import Places
from app.errors import StateUnavailable
from app.telemetry.logs import log

if TYPE_CHECKING:
    from saq.job import Job
    from saq.queue import Queue

TAG = "{agent-runs}"
"""In every key of SAQ's, since its scripts use several that have to be in one slot of a cluster."""
ANSWER_SECONDS = 2.0
_RETRY_AFTER_SECONDS = 5
_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.1, 5.0
_SWEEP_SECONDS = 60
_LEFT_SECONDS = 30
"""After which a job that was taken and not removed is nobody's."""


class SaqEngine(ABC):
    failures: tuple[type[Exception], ...] = (OSError, TimeoutError)
    """What the server's absence looks like; the client's own kinds are added when it is loaded."""

    def __init__(self) -> None:
        self._queues: Sequence[Queue] = ()
        self._opening = asyncio.Lock()
        self._places: Places | None = None
        """While this process serves."""
        self._away_since = 0.0
        self._pause = _PAUSE_SECONDS
        self._sweep_at = 0.0

    @abstractmethod
    async def _open(self) -> Sequence["Queue"]:
        """Loads the client. The queues, the one with the highest priority first."""

    @abstractmethod
    def _queue_for(self, priority: int) -> "Queue":
        """Where runs of this priority wait."""

    @abstractmethod
    async def _take(self) -> str | None:
        """Waits a while for a job, and takes it off the queue. Returns its key."""

    @abstractmethod
    async def close(self) -> None: ...

    async def ring(self, run_id: str, *, at: float = 0.0, priority: int = 0) -> None:
        if at <= time() and self._places is not None and self._places.try_start(run_id):
            return  # by who rings: others need not be asked
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                await self._ready()
                await self._queue_for(priority).enqueue(_job(run_id, at, priority))
        except Exception as error:
            if not isinstance(error, self.failures):
                raise
            raise StateUnavailable(
                "The queue of runs does not answer. Try again.", retry_after=_RETRY_AFTER_SECONDS
            ) from error

    async def serve(self, handler: Handler, *, most: int) -> None:
        places = self._places = Places(handler, most)
        try:
            while not _cancelled():
                await places.free()
                try:
                    await self._hear(places)
                except Exception as error:
                    if not isinstance(error, self.failures):
                        raise
                    await self._wait_for_return(error)
                else:
                    self._returned()
            raise asyncio.CancelledError
        finally:
            self._places = None

    async def _hear(self, places: Places) -> None:
        await self._ready()
        if monotonic() >= self._sweep_at:
            self._sweep_at = monotonic() + _SWEEP_SECONDS
            for queue in self._queues:
                await queue.sweep(lock=_SWEEP_SECONDS, abort=0.1)
        key = await self._take()
        if key is not None:
            places.start(key.removeprefix(TAG).rpartition("@")[0])

    async def _ready(self) -> None:
        async with self._opening:
            if not self._queues:
                self._queues = await self._open()

    async def _wait_for_return(self, error: Exception) -> None:
        if not self._away_since:
            self._away_since = monotonic()
            log.warning("queue.away", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(self._pause)
        self._pause = min(self._pause * 2, _LONGEST_PAUSE_SECONDS)

    def _returned(self) -> None:
        if self._away_since:
            log.info("queue.back", seconds=round(monotonic() - self._away_since, 3))
            self._away_since, self._pause = 0.0, _PAUSE_SECONDS


def _cancelled() -> bool:
    """Whether this task was cancelled: both clients swallow that in places, SAQ where it waits and connections where
    they are opened."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _job(run_id: str, at: float, priority: int) -> "Job":
    from saq.job import Job

    scheduled = ceil(at) if at > time() else 0
    key = f"{TAG}{run_id}@{token_hex(8)}"
    return Job("run", key=key, scheduled=scheduled, priority=priority, timeout=_LEFT_SECONDS, retries=0, ttl=-1)
