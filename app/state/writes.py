"""Writes to the store that nobody waits for: each leaves at once, and one that fails is a line in the log."""

import asyncio
from typing import Any

from app.telemetry.logs import log

_LAST_WORDS_SECONDS = 2.0


class BackgroundWrites:
    def __init__(self, lost: str) -> None:
        """`lost` is the event of the line for a write that failed."""
        self._lost = lost
        self._writing: set[asyncio.Future[Any]] = set()

    def add(self, writing: asyncio.Future[Any]) -> None:
        self._writing.add(writing)
        writing.add_done_callback(self._written)

    def _written(self, writing: asyncio.Future[Any]) -> None:
        self._writing.discard(writing)
        if not writing.cancelled() and (error := writing.exception()) is not None:
            log.warning(self._lost, error=repr(error.__cause__ or error))

    async def aclose(self) -> None:
        """Wait for what is being written."""
        if self._writing:
            await asyncio.wait(self._writing, timeout=_LAST_WORDS_SECONDS)
