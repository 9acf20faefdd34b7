"""Suggestions: each rule where it applies, and none where it does not."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from app.messages import NANOS, AssistantMessage, Message, Usage, UserMessage
from app.models.prices import FREE, Price, Rates
from app.runs.events import ToolCallRecord
from app.runs.state import RunState
from app.runs.suggestions import Ran, suggest
from app.tools import tool
from app.tools.registry import Registry
from tests.conftest import Serve
from tests.doubles import CHEAP, ScriptedModel, resilient

DEAR = Price((Rates(0, 10.0, 20.0, 5.0, 15.0),))
MODELS = {
    "double/dear": resilient(ScriptedModel(name="dear"), DEAR),
    "double/cheap": resilient(ScriptedModel(), CHEAP),
}


@tool
async def talkative() -> None:
    """Says a lot about itself."""


def kinds(
    usage: Usage = Usage(100, 20),  # noqa: B008 - immutable
    *,
    history: Sequence[Message] = (),
    price: Price = DEAR,
    tools: Registry | None = None,
    **state: Any,
) -> list[str]:
    ran = RunState(
        usage=usage, nanos=round(price.cost_usd(usage) * NANOS), **{"iterations": 1, "finish_reason": "stop", **state}
    )
    model = resilient(ScriptedModel(), price)
    models = {"double/scripted": model, **MODELS}
    return [one.kind for one in suggest(Ran(ran, history, model, models, tools or Registry()))]


LONG: Sequence[Message] = [UserMessage("word " * 2_000), AssistantMessage("yes")]


def test_a_run_as_it_should_be() -> None:
    assert kinds(price=CHEAP) == []


def test_a_history_that_is_most_of_what_is_read() -> None:
    assert kinds(Usage(2_900, 20), history=LONG, price=FREE) == ["history-too-long"]
    assert kinds(Usage(9_000, 20), history=LONG, price=FREE) == []
    assert kinds(Usage(100, 20), history=[UserMessage("short")], price=FREE) == []


def test_a_short_answer_of_a_dear_model() -> None:
    assert kinds(price=DEAR) == ["cheaper-model"]
    assert kinds(Usage(100, 900), price=DEAR) == []
    assert kinds(price=DEAR, iterations=3) == []


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        (Usage(5_000, 20), ["cache-off"]),
        (Usage(5_000, 20, 0, 4_000), ["cache-not-read"]),
        (Usage(5_000, 20, 4_000, 0), []),
        (Usage(1_000, 20), []),
    ],
)
def test_a_long_prompt_that_no_cache_had(usage: Usage, expected: list[str]) -> None:
    assert kinds(usage, price=CHEAP) == expected
    assert kinds(usage, price=FREE) == []


def test_many_tools_and_none_of_use() -> None:
    many = Registry([replace(talkative, description="word " * 1_000)])
    called = [ToolCallRecord("talkative", {}, "ok", 1.0)]
    assert kinds(price=CHEAP, tools=many) == ["tools-not-used"]
    assert kinds(price=CHEAP, tools=many, tool_calls=called) == []


def test_the_same_call_again() -> None:
    call = ToolCallRecord("clock", {"zone": "UTC"}, "ok", 1.0)
    other = ToolCallRecord("clock", {"zone": "Europe/Paris"}, "ok", 1.0)
    assert kinds(price=CHEAP, tool_calls=[call, other]) == []
    assert kinds(price=CHEAP, tool_calls=[call, call]) == ["same-call-again"]


@pytest.mark.parametrize("reason", ["max_tokens", "max_iterations", "max_cost"])
def test_a_limit_that_ended_the_run(reason: str) -> None:
    assert kinds(price=CHEAP, finish_reason=reason) == ["ended-by-limit"]


def test_they_come_on_demand(serve: Serve) -> None:
    service = serve(max_iterations=2)
    body = service.ask("POST", "/agent/run", {"query": "What is 6 * 7?", "suggestions": True}).json()
    assert [one["kind"] for one in body["suggestions"]] == ["ended-by-limit"]
    assert body["suggestions"][0]["detail"]
    assert service.ask("POST", "/agent/run", {"query": "What is 6 * 7?"}).json()["suggestions"] == []
