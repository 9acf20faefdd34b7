"""The prober: what a dependency's last answer says of it, and that nothing a probe does ends the probing."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count

import pytest
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from app import prober
from app.errors import ModelUnavailable, StateUnavailable
from app.prober import Check, Prober

_numbers = count()


class Dependency:
    """Answers, or raises the error it is given; `answered` is set by each probe that has ended."""

    def __init__(self) -> None:
        self.name = f"dependency-{next(_numbers)}"
        self.error: Exception | None = None
        self.probes = 0

    async def probe(self) -> None:
        self.probes += 1
        if self.error is not None:
            raise self.error

    def metric(self) -> float | None:
        return REGISTRY.get_sample_value("agent_dependency_up", {"dependency": self.name})


async def test_a_dependency_is_unknown_up_down_and_up_again() -> None:
    dependency = Dependency()
    check = Check(dependency.name, dependency.probe)
    assert (check.status, check.last_ok_seconds, dependency.metric()) == ("unknown", None, None)
    await check.run()
    assert (check.status, check.reason, dependency.metric()) == ("up", "", 1)
    assert check.last_ok_seconds is not None
    assert 0 <= check.last_ok_seconds < 60
    dependency.error = ModelUnavailable("Try again.", reason="unreachable")
    await check.run()
    assert (check.status, check.reason, dependency.metric()) == ("down", "unreachable", 0)
    assert check.last_ok_seconds is not None
    dependency.error = None
    await check.run()
    assert (check.status, check.reason, dependency.metric()) == ("up", "", 1)


async def test_only_changes_are_logged() -> None:
    dependency = Dependency()
    check = Check(dependency.name, dependency.probe)
    with capture_logs() as logs:
        await check.run()
        await check.run()
        dependency.error = StateUnavailable("away")
        await check.run()
        await check.run()
    assert [(line["event"], line["log_level"], line["status"], line["reason"]) for line in logs] == [
        ("dependency", "info", "up", ""),
        ("dependency", "warning", "down", "StateUnavailable"),
    ]


async def test_a_probe_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_PATIENCE_SECONDS", 0.05)
    ended = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    check = Check("hanging", hang)
    await check.run()
    assert (check.status, check.reason) == ("down", "TimeoutError")
    assert ended.is_set()


async def test_a_probe_with_a_defect_is_down_and_logged_with_its_stack() -> None:
    dependency = Dependency()
    dependency.error = LookupError("swordfish")
    check = Check(dependency.name, dependency.probe)
    with capture_logs() as logs:
        await check.run()
    assert (check.status, check.reason, dependency.metric()) == ("down", "LookupError", 0)
    assert (logs[0]["event"], logs[0]["log_level"]) == ("dependency.probe_crashed", "error")
    assert logs[0]["exc_info"]


def prober_of(model: Callable[[], Awaitable[object]], redis: Callable[[], Awaitable[object]] | None) -> Prober:
    return Prober({"double/scripted": model}, redis)


async def watched(watching: Prober, until: Callable[[], bool]) -> None:
    task = asyncio.create_task(watching.watch())
    async with asyncio.timeout(20):
        while not until():  # noqa: ASYNC110 - nobody tells
            await asyncio.sleep(0.01)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_nothing_is_down_before_it_was_asked() -> None:
    probing = prober_of(Dependency().probe, Dependency().probe)
    assert probing.all_up
    assert probing.redis() == "unknown"
    assert probing.models() == {"double/scripted": {"status": "unknown", "last_ok_seconds": None, "reason": None}}


@pytest.mark.parametrize("down", ["model", "redis", "nothing"])
async def test_all_is_up_when_nothing_is_down(down: str) -> None:
    model, redis = Dependency(), Dependency()
    model.error = ModelUnavailable("Try again.", reason="unreachable") if down == "model" else None
    redis.error = StateUnavailable("away") if down == "redis" else None
    probing = prober_of(model.probe, redis.probe)
    await watched(probing, lambda: probing.redis() != "unknown")
    assert probing.all_up == (down == "nothing")
    assert probing.redis() == ("down" if down == "redis" else "up")
    state = probing.models()["double/scripted"]
    assert state["status"] == ("down" if down == "model" else "up")
    assert state["reason"] == ("unreachable" if down == "model" else None)


async def test_a_store_in_the_process_is_not_asked() -> None:
    model = Dependency()
    probing = prober_of(model.probe, None)
    assert (probing.redis(), probing.all_up) == ("in-process", True)
    await watched(probing, lambda: model.probes > 0)


async def test_probing_goes_on_whatever_a_probe_raises(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_EVERY_SECONDS", 0.01)
    model, redis = Dependency(), Dependency()
    model.error = LookupError("a defect")
    probing = prober_of(model.probe, redis.probe)
    await watched(probing, lambda: min(model.probes, redis.probes) >= 3)
    assert probing.redis() == "up"
    assert not probing.all_up
