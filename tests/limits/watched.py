"""A store whose renewals can be awaited and whose replies can get lost; and waiting for what happens meanwhile."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from app.state.store import Argument, Store, unavailable, under_way

_T = TypeVar("_T")


class WatchedStore:
    """Any store."""

    def __init__(self, store: Store) -> None:
        self.lose = 0
        """How many of the next replies get lost, after what was asked for is done."""
        self._store = store
        self._answered: Counter[bool] = Counter()  # renewals, and other scripts
        self._answer = asyncio.Event()

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        kind = "renew" in command if command[0] == "EVALSHA" else None
        return under_way(self._pass_on(self._store.call(*command), kind))

    async def _pass_on(self, reply: Awaitable[Any], renewal: bool | None) -> Any:
        try:
            answer = await reply
        finally:
            if renewal is not None:
                self._answered[renewal] += 1
                self._answer.set()
        if self.lose:
            self.lose -= 1
            raise unavailable(ConnectionError("lost"))
        return answer

    async def renewed(self, times: int) -> None:
        """Return when so many more renewals were answered, or failed."""
        await self._wait(True, times)

    async def settled(self, times: int) -> None:
        """Return when so many more settlements were answered, or failed."""
        await self._wait(False, times)

    async def _wait(self, renewal: bool, times: int) -> None:
        wanted = self._answered[renewal] + times
        while self._answered[renewal] < wanted:
            self._answer.clear()
            await self._answer.wait()
        for _ in range(3):
            await asyncio.sleep(0)  # whoever asked has read the reply

    async def aclose(self) -> None:
        await self._store.aclose()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - for a few ms
            await asyncio.sleep(0.005)


async def once_free(ask: Callable[[], Awaitable[_T]], refusal: type[Exception] | tuple[type[Exception], ...]) -> _T:
    """What `ask` returns as soon as it is no longer refused."""
    async with asyncio.timeout(10):
        while True:
            try:
                return await ask()
            except refusal:
                await asyncio.sleep(0.02)
