"""How many runs of others a process works on at once."""

import asyncio
from types import TracebackType


class Places:
    """As a semaphore, whose places can be taken without waiting."""

    def __init__(self, most: int) -> None:
        self.free = most
        self._given = asyncio.Event()

    def take(self) -> bool:
        """Whether there was a place."""
        if self.free <= 0:
            return False
        self.free -= 1
        return True

    def give(self) -> None:
        self.free += 1
        self._given.set()

    async def __aenter__(self) -> None:
        while not self.take():
            self._given.clear()
            await self._given.wait()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self.give()
