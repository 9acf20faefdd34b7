"""Whether runs survive a restart of the store, as /health says it: asked in the background."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from app.errors import StateUnavailable
from app.telemetry.logs import log

Status = Literal["in-process", "unknown", "durable", "volatile"]

_EVERY_SECONDS = 60.0
_UNKNOWN_SECONDS = 5.0


class Durability:
    """`volatile` asks the store; None where it lives in this process, and ends with it."""

    def __init__(self, volatile: Callable[[], Awaitable[bool]] | None) -> None:
        self._volatile = volatile
        self.status: Status = "in-process" if volatile is None else "unknown"

    async def watch(self) -> None:
        """Until cancelled."""
        while self._volatile is not None:
            try:
                await self._look(self._volatile)
            except StateUnavailable:
                await asyncio.sleep(_UNKNOWN_SECONDS)
            else:
                await asyncio.sleep(_EVERY_SECONDS)
        await asyncio.Event().wait()

    async def _look(self, volatile: Callable[[], Awaitable[bool]]) -> None:
        before, self.status = self.status, "volatile" if await volatile() else "durable"
        if self.status == "volatile" != before:
            log.warning(
                "runs.volatile",
                detail="the store keeps no append-only file; set `appendonly yes` there",
            )
