"""A provider with one model is away for a while, under load: what its callers get, and how often it is called."""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics, differences
from tests.resilience.failures import FAILURES
from tests.resilience.goals import Sheet, percentile, share
from tests.resilience.provider import Provider
from tests.resilience.schedules import while_down
from tests.resilience.serving import resident_mib, service_of
from tests.service import Service

MODEL = "only"
BEFORE_SECONDS, AFTER_SECONDS = 1.5, 4.0
ONSET_SECONDS = 2.0
"""The breaker may take that long to see that nothing is answered."""

FLAT_MIB = 24
Way = Literal["refused", "503", "reset-before-headers"]


@dataclass(frozen=True)
class Outage:
    seconds: float
    way: Way


@dataclass(frozen=True)
class Stage:
    provider: Provider
    service: Service
    callers: Callers
    per_second: float
    noise_seconds: float


async def outages(
    folder: Path, each: Sequence[Outage], *, per_second: float = 50, noise_seconds: float = 0
) -> list[Sheet]:
    """One after the other, of one service. `noise_seconds` is what a busy machine may add to a delay."""
    with Provider() as provider:
        service = service_of(folder, provider, (MODEL,))
        try:
            async with Callers() as callers:
                stage = Stage(provider, service, callers, per_second, noise_seconds)
                sheets = [await _outage(outage, stage) for outage in each]
            sheets[-1].none("accounts that differ", differences(provider, [service], (MODEL,)))
        finally:
            service.end()
    return sheets


class _Calls:
    """The calls of a model over time, by the service's own metrics: a provider that is away counts none."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self.samples: list[tuple[float, float]] = []

    async def watch(self) -> None:
        while True:
            metrics = await asyncio.to_thread(Metrics, [self._service])
            self.samples.append((time.monotonic(), metrics.sum("agent_model_requests_total")))
            await asyncio.sleep(0.1)

    def between(self, start: float, end: float) -> float:
        within = [calls for at, calls in self.samples if start <= at <= end]
        return within[-1] - within[0] if within else 0.0


async def _outage(outage: Outage, stage: Stage) -> Sheet:
    provider, service = stage.provider, stage.service
    sheet = Sheet(f"{outage.seconds:g} s away ({outage.way}), {stage.per_second:g} requests a second, one model")
    down = False
    accounts = provider.accounts[MODEL]
    if outage.way != "refused":
        provider.schedule(MODEL, while_down(lambda: down, FAILURES[outage.way]))
    calls = _Calls(service)
    watching = asyncio.create_task(calls.watch())
    until = time.monotonic() + BEFORE_SECONDS + outage.seconds + AFTER_SECONDS + stage.noise_seconds
    load = asyncio.create_task(stage.callers.at_rate(service.url, stage.per_second, until))
    await asyncio.sleep(BEFORE_SECONDS)
    gone = time.monotonic()
    if outage.way == "refused":
        provider.stop()
    else:
        down, provider.may_probe = True, False
    before = len(accounts.begun)
    await asyncio.sleep(ONSET_SECONDS)
    memory = resident_mib(service)
    await asyncio.sleep(outage.seconds - ONSET_SECONDS)
    grown = resident_mib(service) - memory
    if outage.way == "refused":
        back = provider.resume()
    else:
        down, provider.may_probe = False, True
        back = time.monotonic()
    outcomes = await load
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)
    _tell(sheet, outcomes, calls.between, (gone, back), stage.noise_seconds)
    sheet.tell("calls that the provider saw while away", str(sum(gone <= at < back for at in accounts.begun[before:])))
    sheet.tell("longest delay of the load itself so far", f"{stage.callers.latest * 1000:.0f} ms")
    sheet.at_most("memory grown while away", grown, FLAT_MIB, " MiB")
    return sheet


def _tell(
    sheet: Sheet,
    outcomes: Sequence[Outcome],
    calls: Callable[[float, float], float],
    away_between: tuple[float, float],
    noise: float,
) -> None:
    gone, back = away_between
    onset = gone + ONSET_SECONDS + noise
    away = [one for one in outcomes if gone <= one.at and one.ended_at < back]
    failed = [one for one in away if one.status != 200]
    plain = [one for one in failed if not one.events]
    sheet.at_least("failed while away: 503", share(failed, lambda one: one.status == 503) * 100, 100, " %")
    sheet.at_least("of them plain: with Retry-After", share(plain, lambda one: bool(one.retry_after)) * 100, 100, " %")
    in_onset = sum(gone <= one.at < onset for one in outcomes)
    sheet.at_most("calls a request, first 2 s", calls(gone, onset) / in_onset, 1.2)
    sheet.at_most("calls a second after that", calls(onset, back) / (back - onset), 1)
    answered = [one.ended_at for one in outcomes if one.status == 200 and one.ended_at >= back]
    sheet.at_most("first success after its return", min(answered, default=back + 999) - back, 2 + noise, " s")
    late = [one for one in outcomes if one.at >= back + 2 + noise]
    sheet.at_least("answered from 2 s after its return", share(late, lambda one: one.status == 200) * 100, 100, " %")
    sheet.tell("99th percentile while away", f"{percentile((one.seconds for one in failed), 0.99) * 1000:.0f} ms")
