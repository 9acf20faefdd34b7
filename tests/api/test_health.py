"""What `/health` says of a model that is not called for a while."""

import asyncio
import time
from contextlib import nullcontext
from dataclasses import dataclass

import msgspec
import pytest
from httpx import ASGITransport, AsyncClient

from app.api import health
from app.api.framework import Api
from app.api.lifecycle import Lifecycle
from app.durable.durability import Durability
from app.models.breaker import Breaker
from app.telemetry.prober import Prober


async def probe() -> None: ...


@dataclass(frozen=True)
class Resting:
    """Rests for so many seconds yet, or not."""

    seconds: float = 0

    def state(self) -> tuple[str, float] | None:
        return ("rate_limited", self.seconds) if self.seconds else None


@dataclass(frozen=True)
class Model:
    breaker: Breaker | None
    resting: Resting


async def asked(model: Model) -> dict[str, object]:
    """What the service answers that has this model, as the model's part and the whole's status."""
    api = Api(lambda _: nullcontext())
    health.routes(api, Lifecycle(), Prober({"model": probe}, None), {"model": model}, Durability(None))
    async with AsyncClient(transport=ASGITransport(app=api.routed), base_url="http://test") as client:
        response = await client.get("/health")
    assert response.status_code == 200
    body = msgspec.json.decode(response.content)
    return {"whole": body["status"], **body["checks"]["models"]["model"]}


WELL = {"whole": "ok", "status": "unknown", "last_ok_seconds": None, "reason": None, "breaker": None, "resting": None}


async def test_a_model_without_a_breaker_has_none() -> None:
    assert await asked(Model(None, Resting())) == WELL


async def test_an_open_breaker_is_shown_until_calls_pass_again() -> None:
    now = 0.0
    breaker = Breaker("health", probe, lambda: now)
    model = Model(breaker, Resting())
    assert await asked(model) == WELL | {"breaker": "closed"}
    for _ in range(20):
        breaker.enter().bad()
    assert await asked(model) == WELL | {"whole": "degraded", "breaker": "open"}
    now = 1.0
    async with asyncio.timeout(30):
        while not breaker.admits:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert await asked(model) == WELL | {"breaker": "half-open"}
    breaker.enter().good()
    assert await asked(model) == WELL | {"breaker": "closed"}
    await breaker.aclose()


async def test_a_resting_model_is_shown_with_the_reason_and_the_time_until_when() -> None:
    answer = await asked(Model(None, Resting(20)))
    until = pytest.approx(time.time() + 20, abs=10)
    assert answer == WELL | {"whole": "degraded", "resting": {"reason": "rate_limited", "until": until}}
