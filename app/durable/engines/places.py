"""Places for handlers: at most so many runs at once."""

import asyncio

from app.durable.engine import Handler
from app.telemetry.logs import log


class Places:
    """Starts a handler for a run in a task of its own, which outlives the one that took the run off the queue."""

    def __init__(self, handler: Handler, most: int) -> None:
        self._handler = handler
        self._most = most
        self._taken: set[asyncio.Task[None]] = set()

    async def free(self) -> None:
        """Returns when there is a place."""
        while len(self._taken) >= self._most:
            await asyncio.wait(self._taken, return_when=asyncio.FIRST_COMPLETED)

    def try_start(self, run_id: str) -> bool:
        """Start a handler if there is a place beside the one that is kept for what is taken off the queue next."""
        if len(self._taken) + 1 >= self._most:
            return False
        self.start(run_id)
        return True

    def start(self, run_id: str) -> None:
        task = asyncio.create_task(self._handle(run_id))
        self._taken.add(task)
        task.add_done_callback(self._taken.discard)

    async def _handle(self, run_id: str) -> None:
        try:
            await self._handler(run_id)
        except Exception:
            log.exception("background.died", task="run-queue", deaths=1)
