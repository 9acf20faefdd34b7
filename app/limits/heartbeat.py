"""The heartbeat of a process: renews what its runs hold, and settles what could not be settled at once.

What a process that dies holds is free again when its leases end.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

from app.errors import AppError, LimitsUnavailable, StateUnavailable
from app.limits.reservation import Reservation, now
from app.telemetry.logs import log

_AT_ONCE = 100  # renewals or settlements in one round trip
_MOST_UNSETTLED = 100_000
_LAST_WORDS_SECONDS = 2.0

OnLost = Callable[[AppError], None]
Send = Callable[[Reservation], Awaitable[object]]
_T = TypeVar("_T")


class Heartbeat:
    """Beats every so many seconds while `run` goes on.

    `renew` and `settle` raise StateUnavailable if the store does not answer, and `renew` what refuses the run.
    """

    def __init__(self, seconds: float, *, renew: Send, settle: Send, on_beat: Callable[[], None]) -> None:
        self._seconds = seconds
        self._renew = renew
        self._settle = settle
        self._on_beat = on_beat
        self._held: dict[str, tuple[Reservation, OnLost]] = {}
        self._unsettled: dict[str, Reservation] = {}
        self._wake = asyncio.Event()

    def keep(self, reservation: Reservation, on_lost: OnLost) -> None:
        """Renew it until it is dropped or settled. `on_lost` is called if others may have been given what it holds."""
        self._held[reservation.run_id] = (reservation, on_lost)

    def drop(self, reservation: Reservation) -> None:
        self._held.pop(reservation.run_id, None)

    def settle_later(self, reservation: Reservation) -> None:
        """Settle a run that has ended, in the background, as soon as the store answers."""
        self.drop(reservation)
        if len(self._unsettled) >= _MOST_UNSETTLED:
            log.error("limits.settlement_lost", run_id=reservation.run_id)
            return
        self._unsettled[reservation.run_id] = reservation
        self._wake.set()

    async def run(self) -> None:
        """Renew and settle until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._seconds
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                due = clock() + self._seconds
                self._on_beat()
                await self._renew_all()
            self._wake.clear()
            await self._settle_all()

    async def close(self) -> None:
        """Settle the runs that were just ended, if that takes no more than a moment."""
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                while self._held or self._unsettled:
                    await self._settle_all()
                    await asyncio.sleep(0.02)
        except TimeoutError:
            log.warning("limits.left_unsettled", runs=len(self._held) + len(self._unsettled))

    async def _renew_all(self) -> None:
        for chunk in _chunks(self._held.values()):
            replies: list[object]
            try:
                async with asyncio.timeout(self._seconds):
                    replies = await _together(self._renew, [reservation for reservation, _ in chunk])
            except TimeoutError as error:
                replies = [error] * len(chunk)
            for (reservation, on_lost), reply in zip(chunk, replies, strict=True):
                lost = self._lost(reservation, reply)
                if lost is not None and reservation.checks.required and not reservation.ended:
                    log.warning("limits.lease_lost", run_id=reservation.run_id, error=lost.slug)
                    on_lost(lost)

    def _lost(self, reservation: Reservation, reply: object) -> AppError | None:
        """Why the run has to end: others were given what it held, or could be before the next beat."""
        if isinstance(reply, AppError) and not isinstance(reply, StateUnavailable):
            return reply
        return LimitsUnavailable() if now() + self._seconds >= reservation.expires_at else None

    async def _settle_all(self) -> None:
        for chunk in _chunks(self._unsettled.values()):
            replies = await _together(self._settle, chunk)
            for reservation, reply in zip(chunk, replies, strict=True):
                if not isinstance(reply, BaseException):
                    self._unsettled.pop(reservation.run_id, None)
        if self._unsettled:
            log.warning("limits.unsettled", runs=len(self._unsettled))


async def _together(send: Send, reservations: list[Reservation]) -> list[object]:
    """The replies, or what was raised instead. One round trip."""
    return await asyncio.gather(*map(send, reservations), return_exceptions=True)


def _chunks(items: Iterable[_T]) -> list[list[_T]]:
    whole = list(items)
    return [whole[at : at + _AT_ONCE] for at in range(0, len(whole), _AT_ONCE)]
