"""The breaker in a process: it probes while it is open, comes back by itself, tells, and leaves nothing behind."""

import asyncio
from dataclasses import dataclass, field
from itertools import count

import pytest

from app.errors import ModelUnavailable
from app.models.breaker import Breaker
from app.telemetry import metrics
from tests.logged import capture_logs
from tests.models.virtual_time import in_virtual_time

_names = (f"breaker/{number}" for number in count())


@dataclass
class Provider:
    """A provider whose probe fails while it is not `up`, or hangs."""

    up: bool = True
    hangs: bool = False
    probed_at: list[float] = field(default_factory=list)

    async def probe(self) -> None:
        self.probed_at.append(asyncio.get_running_loop().time())
        if self.hangs:
            await asyncio.sleep(3600)
        if not self.up:
            raise ModelUnavailable("It is away.", reason="unreachable")


def breaker_of(provider: Provider) -> Breaker:
    return Breaker(next(_names), provider.probe, asyncio.get_running_loop().time, jitter=lambda: 0.5)


def opened(provider: Provider) -> Breaker:
    breaker = breaker_of(provider)
    for _ in range(20):
        breaker.enter().bad()
    assert breaker.state == "open"
    return breaker


def test_a_model_that_nobody_calls_comes_back_by_itself() -> None:
    async def idle() -> None:
        provider = Provider()
        breaker = breaker_of(provider)
        await breaker.probe()
        provider.up = False
        for _ in range(20):
            breaker.enter().bad()
        await asyncio.sleep(95)
        states = [breaker.state]
        provider.up = True
        await asyncio.sleep(1.1)
        states.append(breaker.state)
        breaker.enter().good()
        assert [*states, breaker.state] == ["open", "half-open", "closed"]
        asked = len(provider.probed_at)
        await asyncio.sleep(60)
        assert len(provider.probed_at) == asked, "a closed breaker asks nothing"
        await breaker.aclose()

    in_virtual_time(idle())


@pytest.mark.parametrize("hangs", [False, True])
def test_an_open_model_is_probed_about_once_a_second(hangs: bool) -> None:
    async def away() -> None:
        provider = Provider(up=False, hangs=hangs)
        breaker = opened(provider)
        for _ in range(60):
            await asyncio.sleep(1)
            if breaker.admits:
                breaker.enter().bad()
        assert 55 <= len(provider.probed_at) <= 75
        await breaker.aclose()

    in_virtual_time(away())


async def test_nothing_is_left_of_a_breaker_that_is_closed_while_open() -> None:
    before = asyncio.all_tasks()
    breaker = opened(Provider(hangs=True))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() > before
    await breaker.aclose()
    assert asyncio.all_tasks() == before
    await breaker_of(Provider()).aclose()


async def test_a_probe_that_crashes_is_one_that_has_not_answered() -> None:
    async def crash() -> None:
        raise ZeroDivisionError

    breaker = Breaker(next(_names), crash, asyncio.get_running_loop().time, jitter=lambda: 1.0)
    for _ in range(20):
        breaker.enter().bad()
    async with asyncio.timeout(30):
        while breaker.state != "half-open":  # noqa: ASYNC110 - a breaker tells nobody
            await asyncio.sleep(0.05)
    await breaker.aclose()


def test_it_logs_that_it_opens_and_that_it_closes_once_each() -> None:
    async def outage(name: str) -> None:
        breaker = Breaker(name, Provider().probe, asyncio.get_running_loop().time, jitter=lambda: 0.0)
        for _ in range(20):
            breaker.enter().bad()
        for _ in range(2):
            await asyncio.sleep(2.5)
            breaker.enter().bad()
        await asyncio.sleep(5)
        breaker.enter().good()

    name = next(_names)
    with capture_logs() as lines:
        in_virtual_time(outage(name))
    assert lines == [
        {"event": "model.breaker", "log_level": "warning", "model": name, "state": "open"},
        {"event": "model.breaker", "log_level": "info", "model": name, "state": "closed", "open_seconds": 10.0},
    ]


def test_the_metric_is_0_closed_1_half_open_2_open() -> None:
    async def states() -> list[float]:
        breaker = breaker_of(Provider())
        gauge = metrics.BREAKER_STATE.labels(breaker.ref)
        seen = [gauge._value.get()]
        for _ in range(20):
            breaker.enter().bad()
        seen.append(gauge._value.get())
        await asyncio.sleep(1)
        seen.append(gauge._value.get())
        breaker.enter().good()
        return [*seen, gauge._value.get()]

    assert in_virtual_time(states()) == [0, 2, 1, 0]


def test_a_slow_probe_is_not_relied_on() -> None:
    """It would not answer in time while the breaker is open, and so keep a model away that works."""

    async def slow() -> None:
        await asyncio.sleep(2)

    async def outage() -> None:
        breaker = Breaker(next(_names), slow, asyncio.get_running_loop().time, jitter=lambda: 0.0)
        await breaker.probe()
        for _ in range(20):
            breaker.enter().bad()
        await asyncio.sleep(1.5)
        assert breaker.state == "half-open"

    in_virtual_time(outage())
