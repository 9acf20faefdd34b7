"""Outages of a model under 50 calls a second: how many calls reach it, and how soon it is used again."""

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from app.errors import ModelUnavailable
from app.models.breaker import Breaker
from tests.models.virtual_time import in_virtual_time

_HEALTHY_SECONDS = 11.0
_EVERY = 0.02


@dataclass
class Provider:
    """Away for a time. Its calls then fail after `latency`; its probe too, unless that answers all along, and again
    `warm_up` seconds before the calls do."""

    seconds: float
    seed: int
    probe_answers: bool = False
    latency: float = 0.01
    warm_up: float = 0.0
    calls: list[float] = field(default_factory=list)
    refused: list[float] = field(default_factory=list)
    retry_after: list[float] = field(default_factory=list)
    good: list[float] = field(default_factory=list)
    """When, in seconds since the outage began."""

    def __post_init__(self) -> None:
        self.now = asyncio.get_running_loop().time
        self.began = _HEALTHY_SECONDS
        self.breaker = Breaker("outage", self.probe, self.now, random.Random(self.seed).random)

    def since(self) -> float:
        return self.now() - self.began

    async def probe(self) -> None:
        await asyncio.sleep(0.01)
        if not self.probe_answers and 0 <= self.since() < self.seconds - self.warm_up:
            await asyncio.sleep(self.latency)
            raise ModelUnavailable("It is away.", reason="unreachable")

    async def call(self) -> None:
        try:
            call = self.breaker.enter()
        except ModelUnavailable as error:
            self.refused.append(self.since())
            self.retry_after.append(error.retry_after or 0)
            return
        began = self.since()
        self.calls.append(began)
        try:
            if 0 <= began < self.seconds:
                await asyncio.sleep(self.latency)
                call.bad()
            else:
                await asyncio.sleep(0.01)
                call.good()
                self.good.append(self.since())
        finally:
            call.leave()


async def outage(
    seconds: float, seed: int, probe_answers: bool = False, latency: float = 0.01, warm_up: float = 0.0
) -> Provider:
    provider = Provider(seconds, seed, probe_answers, latency, warm_up)
    await provider.breaker.probe()
    async with asyncio.TaskGroup() as calls:
        back = 31 if probe_answers else warm_up + 3
        for _ in range(int((_HEALTHY_SECONDS + seconds + back) / _EVERY)):
            calls.create_task(provider.call())
            await asyncio.sleep(_EVERY)
    await provider.breaker.aclose()
    return provider


def back_after(provider: Provider) -> float:
    """Seconds from its return to the first call that went well."""
    return min(at for at in provider.good if at > provider.seconds) - provider.seconds


def calls_after_two_seconds(provider: Provider) -> float:
    """Calls a second that reached it from the third second of the outage to its end."""
    late = [at for at in provider.calls if 2 <= at < provider.seconds]
    return len(late) / (provider.seconds - 2)


@pytest.mark.parametrize("latency", [0.001, 0.01, 1.5])
@pytest.mark.parametrize("seconds", [7, 61, 95])
def test_a_provider_that_is_gone_is_used_again_within_two_seconds(seconds: int, latency: float) -> None:
    for seed in range(3):
        provider = in_virtual_time(outage(seconds, seed, latency=latency))
        assert back_after(provider) <= 2
        if latency < 1:
            assert calls_after_two_seconds(provider) < 1
        assert all(0 <= seconds <= 30 for seconds in provider.retry_after)
        assert max(provider.refused) <= provider.seconds + 2


@pytest.mark.parametrize("seconds", [7, 61, 95])
def test_a_provider_whose_probe_answers_gets_no_more_calls_than_the_waits_allow(seconds: int) -> None:
    for seed in range(3):
        provider = in_virtual_time(outage(seconds, seed, probe_answers=True))
        late = [at for at in provider.calls if 2.1 <= at < seconds]
        assert len(late) <= {7: 2, 61: 7, 95: 8}[seconds]
        assert calls_after_two_seconds(provider) < 1
        assert back_after(provider) <= 31


@pytest.mark.parametrize("warm_up", [0.5, 3, 10])
def test_a_provider_that_answers_probes_before_calls_is_used_soon_after_it_can(warm_up: float) -> None:
    for seed in range(3):
        provider = in_virtual_time(outage(61, seed, warm_up=warm_up))
        assert back_after(provider) <= warm_up + 2
        assert calls_after_two_seconds(provider) < 1
