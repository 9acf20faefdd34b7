"""The queue of a process that is alone: it lives and dies with it."""

import asyncio
from heapq import heappop, heappush
from itertools import count
from time import time

from app.durable.engine import Handler
from app.durable.engines.places import Places


class InProcessEngine:
    def __init__(self) -> None:
        self._due: list[tuple[int, int, str]] = []
        self._later: list[tuple[float, int, str]] = []
        self._order = count()
        self._rung = asyncio.Event()
        self._places: Places

    async def ring(self, run_id: str, *, at: float = 0.0, priority: int = 0) -> None:
        heappush(self._later, (at, priority, run_id))
        self._rung.set()

    async def serve(self, handler: Handler, *, most: int) -> None:
        self._places = Places(handler, most)
        while True:
            await self._places.free()
            self._places.start(await self._next())

    async def _next(self) -> str:
        while True:
            self._collect()
            if self._due:
                return heappop(self._due)[2]
            self._rung.clear()
            try:
                async with asyncio.timeout(self._later[0][0] - time() if self._later else None):
                    await self._rung.wait()
            except TimeoutError:
                pass

    def _collect(self) -> None:
        """Move what is due by now, in the order in which it became so."""
        while self._later and self._later[0][0] <= time():
            _, priority, run_id = heappop(self._later)
            heappush(self._due, (priority, next(self._order), run_id))

    async def close(self) -> None: ...
