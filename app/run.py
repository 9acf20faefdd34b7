"""A run: what is asked for, and once it goes on, an iterator over its events and the power to end it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine
from types import TracebackType
from typing import Any, Self

import structlog
from msgspec import Struct

from app.errors import AppError, InternalError
from app.events import Event, RunFailed
from app.limits.limiter import CHAT

log = structlog.get_logger()


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
    """The events of one run, which goes on in a task of its own, in the context it was made in.

    Iterate once, in `async with`: leaving the block before the last event cancels the run. Events wait here without
    limit; what bounds them is the run's `max_tokens`. A slow reader thus never holds a model's connection open.
    """

    def __init__(
        self,
        work: Callable[["Run"], Coroutine[Any, Any, None]],
        on_over: Callable[["Run"], None] | None = None,
    ) -> None:
        self._ready: deque[Event] = deque()
        self._changed = asyncio.Event()
        self._ended = asyncio.Event()
        self._over = False  # later than the task is done: its last event may be made after it
        self.failed_by: AppError | None = None
        self._left = False
        self._on_over = on_over
        self._task = asyncio.create_task(work(self))
        self._task.add_done_callback(self._finish)

    def emit(self, event: Event) -> None:
        """For the work: let the reader have an event."""
        self._ready.append(event)
        self.wake()

    def _finish(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            error = task.exception()
        elif self.failed_by is None and not self._left:
            error = asyncio.CancelledError("by nobody who may")
        else:
            error = None
        if error is not None:
            log.error("run.crashed", exc_info=error)
            self._ready.append(RunFailed(InternalError("Something went wrong on our side.")))
        elif task.cancelled() and self.failed_by is not None:
            self._ready.append(RunFailed(self.failed_by))
        self._over = True
        self._ended.set()
        self.wake()
        if self._on_over is not None:
            self._on_over(self)

    @property
    def over(self) -> bool:
        """Whether no event is ready and none will come."""
        return not self._ready and self._over

    async def wait(self) -> None:
        """Return when an event is ready, the run is over, or `wake` was called."""
        if not self._ready and not self._over:
            self._changed.clear()
            await self._changed.wait()

    async def end(self) -> None:
        """Return when the run is over, without a turn for each event before."""
        await self._ended.wait()

    def wake(self) -> None:
        """Let everyone who is in `wait` return."""
        self._changed.set()

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
        self._left = True
        self._task.cancel()

    def fail(self, error: AppError) -> None:
        """End the run with `error` as its last event."""
        self.failed_by = error
        self._task.cancel()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        if not self._task.done():
            self.cancel()
            await asyncio.wait([self._task])
