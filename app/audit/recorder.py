"""Keeps the record of a process: entries go to the log at once and to the store together, in their order."""

import asyncio
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from typing import NamedTuple

from app.audit.entry import Entry
from app.audit.repeats import WINDOW_SECONDS, Repeats, repeats
from app.audit.telling import not_on_record, told
from app.audit.writer import Writer
from app.errors import StateUnavailable
from app.telemetry.guard_errors import guard_failed
from app.telemetry.metrics import AUDIT_DROPPED

MOST_QUEUED = 10_000
"""Entries that wait for a store that is away; later ones are in the log alone."""
BATCH = 256
GATHER_SECONDS = 0.05
"""For which a note waits for others. A `write` waits for nothing, and takes them along."""
PAUSE_SECONDS = (0.5, 5.0)
"""Between attempts, the first and the longest. A `write` tries at once."""
_LAST_WORDS_SECONDS = 2.0


class _Waiting(NamedTuple):
    entry: Entry
    written: asyncio.Future[None] | None


class Recorder:
    """Built once a process, where AUDIT is true; an Audit."""

    def __init__(self, writer: Writer) -> None:
        self.writer = writer
        self.dropped = 0
        """Entries that the store never got."""
        self._queue: deque[_Waiting] = deque()
        self._repeats = Repeats()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._appending: asyncio.Task[None] | None = None
        self._urgent = asyncio.Event()

    async def write(self, entry: Entry) -> None:
        """Return once it is in the store. Raises StateUnavailable."""
        written = asyncio.get_running_loop().create_future()
        self._queue.append(_Waiting(told(entry), written))
        self._urgent.set()
        self._begin()
        await written

    def note(self, entry: Entry) -> None:
        """Have it in the store soon. May be called in other threads, and before there is an event loop."""
        if repeats(entry) and not self._is_first(entry):
            return
        self._put(told(entry))

    async def aclose(self) -> None:
        """Append what is waiting, if that takes no more than a moment; the log alone has the rest."""
        self._end_window()
        self._begin()
        if self._appending is not None:
            self._urgent.set()
            await asyncio.wait((self._appending,), timeout=_LAST_WORDS_SECONDS)
            self._appending.cancel()
        self._drop(len(self._queue) + self.writer.unsure)
        self._queue.clear()

    def begin(self) -> None:
        """What was noted before there was an event loop is appended."""
        self._loop = asyncio.get_running_loop()
        self._begin()

    def _put(self, entry: Entry) -> None:
        if len(self._queue) >= MOST_QUEUED:
            self._drop(1)
            return
        self._queue.append(_Waiting(entry, None))
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._begin)
        else:
            self._begin()

    def _drop(self, count: int) -> None:
        if count:
            self.dropped += count
            AUDIT_DROPPED.inc(count)
            guard_failed("audit", "dropped")

    def _begin(self) -> None:
        if self._queue and (self._appending is None or self._appending.done()):
            self._appending = asyncio.create_task(self._append())

    async def _append(self) -> None:
        pause = PAUSE_SECONDS[0]
        if not self._urgent.is_set():
            await self._until_urgent(GATHER_SECONDS)
        while self._queue or self.writer.unsure:
            self._urgent.clear()
            try:
                await self._append_next()
            except StateUnavailable as error:
                guard_failed("audit", "unavailable")
                self._refuse(error)
                await self._until_urgent(pause)
                pause = min(2 * pause, PAUSE_SECONDS[1])
            else:
                pause = PAUSE_SECONDS[0]

    async def _append_next(self) -> None:
        if self.writer.unsure:
            await self.writer.settle()
        batch = [self._queue.popleft() for _ in range(min(BATCH, len(self._queue)))]
        if not batch:
            return
        try:
            await self.writer.append([waiting.entry for waiting in batch])
        except BaseException as error:
            _tell(batch, error)
            raise
        _tell(batch, None)

    def _refuse(self, error: StateUnavailable) -> None:
        """Those who wait are told; what they wanted on record has not happened."""
        waiting = [each for each in self._queue if each.written is not None]
        if waiting:
            self._queue = deque([each for each in self._queue if each.written is None])
            _tell(waiting, error)

    async def _until_urgent(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._urgent.wait()

    def _is_first(self, entry: Entry) -> bool:
        if not len(self._repeats):
            asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._end_window)
        return self._repeats.is_first(entry)

    def _end_window(self) -> None:
        for entry in self._repeats.take():
            self._put(told(entry))


def _tell(batch: Iterable[_Waiting], error: BaseException | None) -> None:
    for _, written in batch:
        if written is None or written.done():
            continue
        if error is None:
            written.set_result(None)
        else:
            written.set_exception(not_on_record(error))
            written.exception()  # whoever was cancelled never asks
