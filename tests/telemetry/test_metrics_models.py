"""Metrics of models: what gates refuse, how fast they write, what has no price."""

import asyncio
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.errors import AppError, ModelUnavailable
from app.messages import Usage
from app.models.breaker import Breaker
from app.models.bulkhead import Bulkhead
from app.models.observed import ObservedModel
from app.models.prices import FREE, UNKNOWN, Price
from app.models.protocol import Completion
from app.models.resilient import ResilientModel
from tests.doubles import Script, ScriptedModel, answers
from tests.models.whole_answer import ask


def value(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


def made(ref: str, *scripts: Script, price: Price = FREE, **gates: Any) -> ResilientModel:
    return ResilientModel(ObservedModel(ScriptedModel(*scripts, name=ref), price), **gates)


async def call(model: ResilientModel, *, stream: bool = True) -> Completion:
    return await model.generate(ask(stream=stream), lambda _: None)


async def refused(model: ResilientModel) -> None:
    with pytest.raises(AppError):
        await call(model)


def refusals(model: ResilientModel) -> dict[str, float]:
    reasons = ("breaker_open", "busy", "resting")
    return {
        reason: counted
        for reason in reasons
        if (counted := value("agent_model_refusals_total", model=model.ref, reason=reason))
    }


async def test_a_call_of_a_model_that_rests_is_a_refusal_and_no_attempt() -> None:
    model = made("rests", answers("Hello"))
    model.resting.rest(60)
    assert value("agent_model_resting", model=model.ref) == 1
    await refused(model)
    assert refusals(model) == {"resting": 1}
    assert value("agent_model_requests_total", model=model.ref, outcome="resting") == 0


async def test_a_call_that_the_breaker_keeps_back_is_a_refusal() -> None:
    async def probe() -> None:
        raise ModelUnavailable("", reason="unreachable")

    model = made("fails", [ModelUnavailable("", reason="server_error")], breaker=Breaker("double/fails", probe))
    for _ in range(30):
        await refused(model)
    assert value("agent_breaker_state", model=model.ref) == 2
    failed = value("agent_model_requests_total", model=model.ref, outcome="server_error")
    assert refusals(model) == {"breaker_open": 30 - failed}
    assert 0 < failed < 30
    await model.aclose()


async def test_a_call_for_which_there_is_no_place_is_a_refusal_and_the_queue_can_be_seen() -> None:
    going = asyncio.Event()
    model = made("busy", [going, *answers("Hello")], bulkhead=Bulkhead("double/busy", 1, 1))
    calls = [asyncio.create_task(call(model)) for _ in range(2)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert value("agent_model_queue_depth", model=model.ref) == 1
    assert value("agent_model_calls_open", model=model.ref) == 1
    await refused(model)
    assert refusals(model) == {"busy": 1}
    going.set()
    await asyncio.gather(*calls)
    assert value("agent_model_queue_depth", model=model.ref) == 0


async def test_a_failure_of_the_model_itself_is_no_refusal() -> None:
    model = made("broken", [ModelUnavailable("", reason="server_error")])
    await refused(model)
    assert refusals(model) == {}


@pytest.mark.parametrize(
    ("script", "stream", "counted"),
    [
        (answers("Hel", "lo", usage=Usage(10, 5)), True, 1),
        (answers("Hello", usage=Usage(10, 5)), False, 0),
        (answers("Hello", usage=Usage(10, 1)), True, 0),
        (answers(usage=Usage(10, 5)), True, 0),
    ],
    ids=["streamed", "plain", "one token", "nothing told"],
)
async def test_the_time_an_output_token_takes_is_known_of_streams_with_more_than_one(
    script: Script, stream: bool, counted: int
) -> None:
    name = f"writes-{len(script)}-{stream}-{counted}"
    model = made(name, script)
    await call(model, stream=stream)
    assert value("agent_time_per_output_token_seconds_count", model=model.ref) == counted


@pytest.mark.parametrize(("price", "counted"), [(UNKNOWN, 3), (FREE, 0)], ids=["unknown", "free"])
async def test_attempts_without_a_known_price_are_counted_even_when_they_are_cut(price: Price, counted: int) -> None:
    cut: Script = ["Hel", ModelUnavailable("", reason="cut_stream")]
    model = made(f"unpriced-{counted}", answers("Hello"), cut, answers("Hello"), price=price)
    await call(model)
    await refused(model)
    await call(model)
    assert value("agent_unknown_price_calls_total", model=model.ref) == counted
    assert value("agent_cost_usd_total", model=model.ref) == 0
