"""The events of a run for one reader, who may ask for the first of them before the others."""

import asyncio
from collections.abc import AsyncGenerator, Sequence

from app.durable.record import Numbered

Batches = AsyncGenerator[Sequence[Numbered], None]


class RunEvents:
    """Iterates over batches; the last one ends with the run's last event. To be closed."""

    def __init__(self, batches: Batches) -> None:
        self._batches = batches
        self._first: asyncio.Task[Sequence[Numbered]] | None = None

    def begin(self) -> None:
        """Wait for the first ones from now on."""
        self._first = asyncio.create_task(self._batches.__anext__())

    async def first(self, seconds: float) -> Sequence[Numbered]:
        """The first events, if they come in that time. They are still told."""
        if self._first is None:
            return ()
        done, _ = await asyncio.wait([self._first], timeout=seconds)
        return self._first.result() if done else ()

    def __aiter__(self) -> "RunEvents":
        return self

    async def __anext__(self) -> Sequence[Numbered]:
        if self._first is None:
            return await self._batches.__anext__()
        first, self._first = self._first, None
        return await first

    async def aclose(self) -> None:
        if self._first is not None:
            self._first.cancel()
            await asyncio.wait([self._first])
        await self._batches.aclose()
