"""A reader's hold on a run: its events, and the power to end it."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self, cast

from msgspec import Struct, field

from app.access.principal import Credential
from app.errors import AppError, InternalError
from app.runs.events import Event, RunFailed
from app.runs.feed import Feed
from app.runs.report import RunReport
from app.telemetry.logs import log

Work = Callable[["RunHandle"], Coroutine[Any, Any, None]]
"""What the run does; it emits events, and is cancelled to end it."""

Outlive = Callable[[Callable[[], None]], bool]
"""Asked when a run's reader leaves: whether the run goes on for others. It then calls what it is given as soon as they
have left too."""


Conclude = Callable[["RunHandle", BaseException | None], object]
"""Called with what ended the run, if the run itself has left no report: it never began, or crashed."""


def _unreported(_: "RunHandle", __: BaseException | None) -> None:
    """For work that is no agent's."""


class RunHandle(Struct, eq=False):
    """One run, for one reader.

    Either iterate over it in `async with`: the run then goes on in a task of its own, in the context it was begun in,
    and leaving the block before the last event cancels it. Or `await run.complete()`, which costs no task and no
    switching between two. Either way the reader's task has the run until its end, also one that goes on for others.
    """

    _work: Work
    _going_on: set["RunHandle"] = field(default_factory=set)
    """The run is in it from its begin to its end."""
    _feed: Feed = field(default_factory=Feed)
    credential: Credential = Credential()
    """What the run was begun with."""
    failed_by: AppError | None = None
    report: RunReport | None = None
    """What the run came to, once it is over."""
    left: bool = False
    """The reader has left, or is to."""
    committed: bool = False
    """Nothing ends the run any more: its end is being written."""
    outlive: Outlive | None = None
    """Set by a run that others may wait for."""
    _conclude: Conclude = _unreported
    _task: asyncio.Task[Any] | None = None
    _ended: bool = False
    _cancelled: bool = False

    def begin(self) -> Self:
        """Start the run's task, unless it was; whatever waits for an event does so."""
        if self._task is None and not self._feed.closed:
            self._going_on.add(self)
            self._task = asyncio.create_task(self._work(self))
            self._task.add_done_callback(self._close_task)
        return self

    async def complete(self) -> list[Event]:
        """Go through a run that was not begun, in the caller's task, and return all its events."""
        task = self._task = cast(asyncio.Task[Any], asyncio.current_task())
        cancelled_before = task.cancelling()
        self._going_on.add(self)
        try:
            await self._work(self)
        except asyncio.CancelledError as error:
            of_caller = not self._cancelled or self._take_back(task) > cancelled_before
            self._ended = self._ended or of_caller
            self._close(error)
            if of_caller:
                raise
        except Exception as error:  # noqa: BLE001 - it is logged with its stack
            self._take_back(task)
            self._close(error)
        else:
            self._close(None)
        return self._feed.take()

    def emit(self, event: Event) -> None:
        """Let the reader have an event."""
        self._feed.emit(event)

    def take(self) -> list[Event]:
        """The events that are ready, without waiting."""
        return self._feed.take()

    def wake(self) -> None:
        """Let the reader who is in `wait` return."""
        self._feed.wake()

    def _take_back(self, task: asyncio.Task[Any]) -> int:
        """Our cancellation was for the work, not for its caller. Returns how many others there are."""
        return task.uncancel() if self._cancelled else task.cancelling()

    def _close_task(self, task: asyncio.Task[Any]) -> None:
        self._close(asyncio.CancelledError("by nobody who may") if task.cancelled() else task.exception())

    def _close(self, error: BaseException | None) -> None:
        """`error` is what the work raised."""
        if self.report is None:
            self._conclude(self, error and (self.failed_by or error))
        if error is not None and isinstance(error, asyncio.CancelledError) and self._ended:
            if self.failed_by is not None:
                self.emit(RunFailed(self.failed_by))
        elif error is not None:
            log.error("run.crashed", exc_info=error)
            self.emit(RunFailed(InternalError("Something went wrong on our side.")))
        self._going_on.discard(self)
        self._feed.close()

    @property
    def over(self) -> bool:
        """Whether no event is ready and none will come."""
        return self._feed.closed and not self._feed.ready

    async def wait(self) -> None:
        """Return when an event is ready, the run is over, or `wake` was called."""
        self.begin()
        await self._feed.wait()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Event:
        while not self._feed.ready:
            if self._feed.closed:
                raise StopAsyncIteration
            await self.wait()
        return self._feed.take_one()

    def cancel(self) -> None:
        """End the run without another event, for nobody is there to read it. One that others wait for goes on."""
        self.left = True
        if not self._ended and (self.outlive is None or not self.outlive(self._end)):
            self._end()
        self.wake()

    def fail(self, error: AppError) -> None:
        """End the run with `error` as its last event."""
        if not self._ended:
            self.failed_by = error
        self._end()

    def drop(self) -> None:
        """End the run without another event: it goes on elsewhere, or not at all."""
        self._end()

    def commit(self) -> None:
        """Have nothing end the run any more: its end is being written."""
        self._ended = self.committed = True

    def _end(self) -> None:
        if self._ended:
            return
        self._ended = True
        if self._task is None:
            self._close(asyncio.CancelledError())
        elif not self._feed.closed:
            self._cancelled = True
            self._task.cancel()

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if isinstance(error, asyncio.CancelledError):
            self._end()
        elif not self._feed.closed:
            self.cancel()
        if self._task is not None and not self._task.done():
            try:
                await asyncio.wait([self._task])
            except asyncio.CancelledError:
                self._end()
                raise
