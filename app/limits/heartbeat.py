"""What the runs of this process hold: renewed while they go on, settled in the background when that could not be done
at once. What a process that dies holds is free again when its leases end."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from app.errors import AppError, LimitsUnavailable
from app.limits.reservation import Call, Claim, now
from app.state.store import Script
from app.telemetry.logs import log

_AT_ONCE = 100  # renewals or settlements in one round trip
_MOST_UNSETTLED = 100_000
_LAST_WORDS_SECONDS = 2.0

OnLost = Callable[[AppError], None]
_T = TypeVar("_T")


class Leases:
    def __init__(self, beat_seconds: float, *, renew: Script, settle: Script, on_beat: Callable[[], None]) -> None:
        self._beat_seconds = beat_seconds
        self._renew = renew
        self._settle = settle
        self._on_beat = on_beat
        self._held: dict[str, tuple[Claim, OnLost]] = {}
        self._unsettled: dict[str, Claim] = {}
        self._wake = asyncio.Event()

    def keep(self, claim: Claim, on_lost: OnLost) -> None:
        """Renew the claim until it is dropped or settled. `on_lost` is called if it may have been given to others."""
        self._held[claim.run] = (claim, on_lost)

    def drop(self, claim: Claim) -> None:
        self._held.pop(claim.run, None)

    def settle_later(self, claim: Claim) -> None:
        """Settle a run that is over, in the background, as soon as the store answers."""
        self._held.pop(claim.run, None)
        if claim.settlement(over=True) is None:
            return
        if len(self._unsettled) >= _MOST_UNSETTLED:
            log.error("limits.settlement_lost", run=claim.run)
            return
        self._unsettled[claim.run] = claim
        self._wake.set()

    async def tend(self) -> None:
        """Renew and settle until cancelled."""
        clock = asyncio.get_running_loop().time
        due = clock() + self._beat_seconds
        while True:
            try:
                async with asyncio.timeout_at(due):
                    await self._wake.wait()
            except TimeoutError:
                due = clock() + self._beat_seconds
                self._on_beat()
                await self._renew_all()
            self._wake.clear()
            await self._settle_all()

    async def aclose(self) -> None:
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
            sent_at = now()
            try:
                async with asyncio.timeout(self._beat_seconds):
                    replies = await _together(self._renew, [claim.renewal() for claim, _ in chunk])
            except TimeoutError as error:
                replies = [error] * len(chunk)
            for (claim, on_lost), reply in zip(chunk, replies, strict=True):
                lost = claim.renewed(reply, sent_at)
                if lost is None and now() + self._beat_seconds >= claim.expires_at:
                    lost = LimitsUnavailable()  # the next beat could come too late
                if lost is not None and claim.closed and not claim.over:
                    log.warning("limits.lease_lost", run=claim.run, error=lost.slug)
                    on_lost(lost)

    async def _settle_all(self) -> None:
        for chunk in _chunks(self._unsettled.values()):
            calls = [call for claim in chunk if (call := claim.settlement(over=True)) is not None]
            replies = await _together(self._settle, calls)
            for claim, reply in zip(chunk, replies, strict=True):  # none of them had nothing to settle
                if not isinstance(reply, BaseException):
                    claim.settled(reply)
                    self._unsettled.pop(claim.run, None)
        if self._unsettled:
            log.warning("limits.unsettled", runs=len(self._unsettled))


async def _together(script: Script, calls: Sequence[Call]) -> list[Any]:
    """The replies, or what was raised instead. One round trip."""
    return await asyncio.gather(*(script(keys, *arguments) for keys, arguments in calls), return_exceptions=True)


def _chunks(items: Iterable[_T]) -> list[list[_T]]:
    whole = list(items)
    return [whole[at : at + _AT_ONCE] for at in range(0, len(whole), _AT_ONCE)]
