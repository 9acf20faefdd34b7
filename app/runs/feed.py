"""A run's events on their way to its reader, in this process."""

import asyncio
from collections import deque

from msgspec import Struct, field

from app.runs.events import Event


class Feed(Struct):
    """The events of one run, for one reader.

    They wait here without limit; what bounds them is the run's `max_tokens`. A slow reader thus never holds a model's
    connection open.
    """

    closed: bool = False
    """No event will come any more."""
    _events: deque[Event] = field(default_factory=deque)
    _reader: asyncio.Future[None] | None = None

    def emit(self, event: Event) -> None:
        """Let the reader have an event."""
        self._events.append(event)
        if self._reader is not None:
            self.wake()

    def close(self) -> None:
        self.closed = True
        self.wake()

    @property
    def ready(self) -> bool:
        return bool(self._events)

    async def wait(self) -> None:
        """Return when an event is ready, none will come, or `wake` was called."""
        if not self._events and not self.closed:
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader

    def wake(self) -> None:
        """Let the reader who is in `wait` return."""
        reader, self._reader = self._reader, None
        if reader is not None and not reader.done():
            reader.set_result(None)

    def take(self) -> list[Event]:
        """The events that are ready, without waiting."""
        events = list(self._events)
        self._events.clear()
        return events

    def take_one(self) -> Event:
        return self._events.popleft()
