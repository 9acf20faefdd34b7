"""TEMPORARY: polls."""

import asyncio
from collections.abc import Sequence

from app.durable.record import Numbered
from app.durable.records import Records


class Follower:
    def __init__(self, records: Records, owner: str, run_id: str, after: int) -> None:
        self._records, self._owner, self._run_id, self._after = records, owner, run_id, after
        self._ready: list[Numbered] = []
        self._over = False
        self._woken = asyncio.Event()
        self._task = asyncio.create_task(self._poll())

    async def _poll(self) -> None:
        while not self._over:
            await self._look()
            await asyncio.sleep(0.02)

    async def _look(self) -> None:
        news = await self._records.news(self._owner, self._run_id, self._after)
        self._ready += news.events
        self._after = news.events[-1][0] if news.events else self._after
        self._over = news.over
        if news.events or news.over:
            self._woken.set()

    @property
    def over(self) -> bool:
        return self._over and not self._ready

    async def wait(self) -> None:
        if not self._ready and not self._over:
            self._woken.clear()
            await self._woken.wait()

    def wake(self) -> None:
        self._woken.set()

    def take(self) -> Sequence[Numbered]:
        ready, self._ready = self._ready, []
        return ready

    def close(self) -> None:
        self._task.cancel()


class Following:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def follow(self, owner: str, run_id: str, after: int = 0) -> Follower:
        await self._records.news(owner, run_id, after)
        return Follower(self._records, owner, run_id, after)
