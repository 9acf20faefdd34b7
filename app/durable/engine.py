"""The queue behind a port: it wakes a worker for a run that is due. What it believes is never the truth: a doorbell that
is lost, or rings twice, costs time and nothing else."""

from collections.abc import Awaitable, Callable
from typing import Protocol

Handler = Callable[[str], Awaitable[None]]
"""Works on the run with this id until it is over, waits, or belongs to another worker. Does not raise."""


class Engine(Protocol):
    async def ring(self, run_id: str, *, at: float = 0.0, priority: int = 0) -> None:
        """Have a worker look at the run, at `at` (seconds since the epoch; 0: now); lower priorities first. Raises
        StateUnavailable when the queue does not answer."""

    async def serve(self, handler: Handler, *, most: int) -> None:
        """Call the handler for what rings, for at most so many runs at once, until cancelled. When it is cancelled it
        takes no more, and the handlers that go on are the caller's to end."""

    async def close(self) -> None: ...
