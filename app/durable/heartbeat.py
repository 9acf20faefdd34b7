"""Keeps the leases of the runs that this process works on, from a thread of its own: an event loop that is blocked for
a while loses nothing. Without a server the store is this process's own, and so is the loop."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from threading import Thread
from typing import Any, Protocol

from msgspec import Struct

from app.durable.record import Claim
from app.durable.records import Records
from app.errors import StateUnavailable
from app.settings import Settings
from app.state.redis import connect
from app.state.store import Store

BEATS = 3
"""In the time of a lease."""
_AGAIN_SECONDS = 0.3


class Holder(Protocol):
    """Whoever works on a run."""

    def lose(self) -> None:
        """The run is another's, or over, or the store does not know it."""

    def cancel(self) -> None:
        """Somebody wants it to end."""


class _Kept(Struct, frozen=True, eq=False):
    claim: Claim
    holder: Holder


Tell = Callable[[Sequence[_Kept], Sequence[tuple[Claim, bool]]], None]
"""Called with what was to be renewed, and what of it holds."""


class Heartbeat:
    """Built once a process; beats from the first run on."""

    def __init__(self, records: Records, settings: Settings) -> None:
        self._records = records
        self._settings = settings
        self._seconds = settings.run_lease_seconds / BEATS
        self._kept: dict[str, _Kept] = {}
        self._beating: _Beating | None = None

    def keep(self, claim: Claim, holder: Holder) -> None:
        """Renew it until it is dropped."""
        self._kept[claim.run_id] = _Kept(claim, holder)
        if self._beating is None:
            self._beating = _InThread(self._from_thread) if self._settings.redis_url else _InLoop(self._in_loop)

    def drop(self, claim: Claim) -> None:
        kept = self._kept.get(claim.run_id)
        if kept is not None and kept.claim == claim:
            del self._kept[claim.run_id]

    async def aclose(self) -> None:
        if self._beating is not None:
            await self._beating.aclose()

    async def _in_loop(self) -> None:
        pause = self._seconds
        while True:
            await asyncio.sleep(pause)
            pause = await self._beat(self._records, self._tell)

    async def _from_thread(self, loop: asyncio.AbstractEventLoop) -> None:
        """In the thread's own loop, with a connection of its own. `loop` is that of the runs."""
        settings = self._settings
        store = connect(settings.redis_url, settings.redis_ca_file, tls_strict=settings.tls_strict)
        records = Records(store, settings)

        def tell(sent: Sequence[_Kept], held: Sequence[tuple[Claim, bool]]) -> None:
            with suppress(RuntimeError):  # the loop is closed: the process ends
                loop.call_soon_threadsafe(self._tell, sent, held)

        try:
            pause = self._seconds
            while True:
                await asyncio.sleep(pause)
                pause = await self._beat(records, tell)
        finally:
            await _close(store)

    async def _beat(self, records: Records, tell: Tell) -> float:
        """Returns after how many seconds the next one is due: soon, where the store did not answer."""
        sent = list(self._kept.values())
        if sent:
            try:
                async with asyncio.timeout(self._seconds):
                    held = await records.renew([kept.claim for kept in sent])
            except (StateUnavailable, TimeoutError):
                return min(self._seconds, _AGAIN_SECONDS)  # a run whose lease has run out is refused when it writes
            tell(sent, held)
        return self._seconds

    def _tell(self, sent: Sequence[_Kept], held: Sequence[tuple[Claim, bool]]) -> None:
        cancelling = dict(held)
        for kept in sent:
            if self._kept.get(kept.claim.run_id) is not kept:
                continue  # over meanwhile
            if kept.claim not in cancelling:
                kept.holder.lose()
            elif cancelling[kept.claim]:
                kept.holder.cancel()


async def _close(store: Store) -> None:
    with suppress(StateUnavailable):
        await store.aclose()


class _Beating(Protocol):
    async def aclose(self) -> None: ...


class _InLoop:
    def __init__(self, beat: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._task = asyncio.create_task(beat())

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])


class _InThread:
    def __init__(self, beat: Callable[[asyncio.AbstractEventLoop], Coroutine[Any, Any, None]]) -> None:
        self._loop = asyncio.new_event_loop()
        self._task: asyncio.Task[None] | None = None
        self._thread = Thread(target=self._run, args=(beat(asyncio.get_running_loop()),), name="leases", daemon=True)
        self._thread.start()

    def _run(self, beat: Coroutine[Any, Any, None]) -> None:
        self._task = self._loop.create_task(beat)
        with suppress(asyncio.CancelledError):
            self._loop.run_until_complete(self._task)
        self._loop.close()

    async def aclose(self) -> None:
        with suppress(RuntimeError):  # the thread has ended
            self._loop.call_soon_threadsafe(self._cancel)
        await asyncio.to_thread(self._thread.join, 1.0)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
