"""A run: what is asked for, and once it goes on, an iterator over its events and the power to end it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self, cast

from msgspec import Struct

from app.access.principal import Credential
from app.errors import AppError, InternalError
from app.limits.limiter import CHAT
from app.runs.events import Event, RunFailed
from app.telemetry.logs import log


class RunRequest(Struct, frozen=True):
    """What a caller asks for. None stands for the setting's value, which is also the most that can be asked for."""

    message: str
    session_id: str | None = None
    model: str | None = None
    agent: str | None = None
    tools: tuple[str, ...] | None = None
    max_iterations: int | None = None
    max_cost_usd: float | None = None
    stream: bool = False
    suggestions: bool = False
    operation: str = CHAT  # what the caller's limits know it as


class Run(AsyncIterator[Event]):
    """The events of one run, for one reader.

    Either iterate over it in `async with`: the run then goes on in a task of its own, in the context it was begun in,
    and leaving the block before the last event cancels it. Or `await run.complete()`, which costs no task and no
    switching between two. Events wait here without limit; what bounds them is the run's `max_tokens`. A slow reader
    thus never holds a model's connection open.
    """

    def __init__(self, work: Callable[["Run"], Coroutine[Any, Any, None]], going_on: set["Run"] | None = None) -> None:
        """The run is in `going_on` from its begin to its end."""
        self.failed_by: AppError | None = None
        self.credential = Credential()  # that it was begun with
        self._work = work
        self._going_on = set() if going_on is None else going_on
        self._ready: deque[Event] = deque()
        self._task: asyncio.Task[Any] | None = None
        self._reader: asyncio.Future[None] | None = None
        self._left = False
        self._cancelled = False
        self._over = False  # later than the task is done: its last event may be made after it

    def begin(self) -> Self:
        """Start the run's task, unless it was; whatever waits for an event does so."""
        if self._task is None and not self._over:
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
            self._left = self._left or of_caller
            self._close(error)
            if of_caller:
                raise
        except Exception as error:  # noqa: BLE001 - it is logged with its stack
            self._take_back(task)
            self._close(error)
        else:
            self._close(None)
        return self.take()

    def _take_back(self, task: asyncio.Task[Any]) -> int:
        """Our cancellation was for the work, not for its caller. Returns how many others there are."""
        return task.uncancel() if self._cancelled else task.cancelling()

    def emit(self, event: Event) -> None:
        """For the work: let the reader have an event."""
        self._ready.append(event)
        self.wake()

    def _close_task(self, task: asyncio.Task[Any]) -> None:
        self._close(asyncio.CancelledError("by nobody who may") if task.cancelled() else task.exception())

    def _close(self, error: BaseException | None) -> None:
        """`error` is what the work raised."""
        if error is not None and isinstance(error, asyncio.CancelledError) and self._told_to_end:
            if self.failed_by is not None:
                self._ready.append(RunFailed(self.failed_by))
        elif error is not None:
            log.error("run.crashed", exc_info=error)
            self._ready.append(RunFailed(InternalError("Something went wrong on our side.")))
        self._over = True
        self._going_on.discard(self)
        self.wake()

    @property
    def over(self) -> bool:
        """Whether no event is ready and none will come."""
        return not self._ready and self._over

    async def wait(self) -> None:
        """Return when an event is ready, the run is over, or `wake` was called."""
        self.begin()
        if not self._ready and not self._over:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def wake(self) -> None:
        """Let the reader who is in `wait` return."""
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    def take(self) -> list[Event]:
        """The events that are ready, without waiting."""
        events = list(self._ready)
        self._ready.clear()
        return events

    async def __anext__(self) -> Event:
        while not self._ready:
            if self._over:
                raise StopAsyncIteration
            await self.wait()
        return self._ready.popleft()

    def cancel(self) -> None:
        """End the run without another event: nobody is there to read it."""
        told, self._left = self._told_to_end, True
        if not told:
            self._end()

    def fail(self, error: AppError) -> None:
        """End the run with `error` as its last event."""
        told, self.failed_by = self._told_to_end, error
        if not told:
            self._end()

    @property
    def _told_to_end(self) -> bool:
        return self._left or self.failed_by is not None

    def _end(self) -> None:
        if self._task is None:
            self._close(asyncio.CancelledError())
        elif not self._over:
            self._cancelled = True
            self._task.cancel()

    async def __aenter__(self) -> Self:
        return self.begin()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if not self._over:
            self.cancel()
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])
