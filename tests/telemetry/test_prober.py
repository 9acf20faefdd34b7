"""The prober: what it says of each dependency, whatever its probe does."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from app.errors import ModelUnavailable, StateUnavailable
from app.telemetry import prober
from app.telemetry.prober import Prober
from tests.logged import capture_logs


async def up() -> None: ...


async def down() -> None:
    raise ModelUnavailable("It is down.", reason="unreachable")


async def broken() -> None:
    raise ZeroDivisionError


async def silent() -> None:
    await asyncio.sleep(60)


async def no_store() -> None:
    raise StateUnavailable("It is away.")


async def no_store_for_a_reason() -> None:
    raise StateUnavailable("It is away.") from ConnectionRefusedError(111, "Connection refused")


async def probed(subject: Prober, **expected: str) -> None:
    """Returns when the models have these states, and the prober still goes on."""
    watching = asyncio.create_task(subject.watch())
    async with asyncio.timeout(30):
        while {ref: model["status"] for ref, model in subject.models().items()} != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not watching.done()
    watching.cancel()


async def test_each_dependency_is_told_by_its_own_probe(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_PATIENCE_SECONDS", 0.5)
    subject = Prober({"up": up, "down": down, "broken": broken, "silent": silent}, no_store)
    assert {model["status"] for model in subject.models().values()} == {"unknown"}
    assert subject.redis() == "unknown"
    assert subject.all_up
    await probed(subject, up="up", down="down", broken="down", silent="down")
    models = subject.models()
    assert [models[ref]["reason"] for ref in ("up", "down", "broken")] == [None, "unreachable", "ZeroDivisionError"]
    assert models["up"]["last_ok_seconds"] is not None
    assert models["down"]["last_ok_seconds"] is None
    assert subject.redis() == "down"
    assert not subject.all_up


async def test_what_comes_back_is_up_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prober, "_EVERY_SECONDS", 0.01)
    answers = iter([down, down])
    subject = Prober({"model": lambda: next(answers, up)()}, None)
    await probed(subject, model="up")
    assert subject.models()["model"]["reason"] is None
    assert subject.all_up
    assert subject.redis() == "in-process"


@pytest.mark.parametrize(
    ("probe", "reason"),
    [
        (no_store, "StateUnavailable"),
        (no_store_for_a_reason, "ConnectionRefusedError: [Errno 111] Connection refused"),
    ],
)
async def test_the_log_says_why_the_store_is_away(probe: Callable[[], Awaitable[None]], reason: str) -> None:
    with capture_logs() as lines:
        await probed(Prober({}, probe))
    assert lines == [
        {
            "event": "dependency",
            "log_level": "warning",
            "dependency": "redis",
            "status": "down",
            "reason": reason,
        }
    ]
