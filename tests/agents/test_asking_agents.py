"""Asking an agent: who may, what a request may set for itself, and what reaches the model."""

from typing import Any

import pytest

from app.access.principal import ANY_TOOL, Principal
from app.errors import InvalidRequest, NotFound
from app.messages import AssistantMessage, UserMessage
from app.runs.events import Answer, RunFailed
from app.tools import tool
from tests.doubles import ADA, ScriptedModel, answers
from tests.stage import Stage

INSIDER = Principal("ada", scopes=frozenset({"chat", ANY_TOOL, "agents:clerk"}), authenticated=True)
EVERYWHERE = Principal("ada", scopes=frozenset({"chat", ANY_TOOL, "agents:*"}), authenticated=True)


@tool(pure=True)
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def stage_with(*scripted: ScriptedModel, **changes: Any) -> Stage:
    return Stage(*(scripted or (ScriptedModel(answers("ok")),)), tools=[double], agents={"clerk": changes})


async def ask(stage: Stage, principal: Principal = ADA, **request: Any) -> Answer:
    return await stage.answer("Hello", principal, agent="clerk", **request)


@pytest.mark.parametrize("principal", [INSIDER, EVERYWHERE], ids=["its scope", "every agent's scope"])
async def test_an_agent_that_is_not_public_takes_a_scope(principal: Principal) -> None:
    stage = stage_with(public=False)
    assert (await ask(stage, principal)).answer == "ok"
    with pytest.raises(NotFound, match=r"There is no agent 'clerk'\. Known: default, mute\."):
        await ask(stage)


async def test_an_agent_has_its_own_models_and_no_others() -> None:
    first, second = ScriptedModel(answers("first"), name="a"), ScriptedModel(answers("second"), name="b")
    stage = stage_with(first, second, models=("double/b",))
    assert (await ask(stage)).answer == "second"
    assert (await stage.answer()).answer == "first"
    with pytest.raises(NotFound, match=r"there is double/b\."):
        await ask(stage, model="double/a")


async def test_an_agent_has_its_own_bounds() -> None:
    stage = stage_with(timeout_seconds=0.05)
    stage.model.pause = 1.0
    last = (await stage.events(agent="clerk"))[-1]
    assert last.name == "run.failed"


@pytest.mark.parametrize(
    ("field", "value"),
    [("system", "Be rude."), ("temperature", 0.5), ("max_tokens", 10), ("response_format", {"type": "object"})],
    ids=["system", "temperature", "max_tokens", "response_format"],
)
async def test_what_an_agent_does_not_allow_is_refused_by_its_name(field: str, value: Any) -> None:
    stage = stage_with(allows=frozenset())
    with pytest.raises(InvalidRequest, match=f"{field}: the agent 'clerk' lets requests set nothing"):
        await ask(stage, **{field: value})
    assert stage.model.requests == []


async def test_what_an_agent_allows_reaches_the_model() -> None:
    stage = stage_with(allows=frozenset({"system", "temperature", "max_tokens", "response_format"}))
    schema = {"type": "object"}
    await ask(stage, system="Be rude.", temperature=0.5, max_tokens=10, response_format=schema)
    [request] = stage.model.requests
    assert (request.system, request.temperature, request.max_tokens) == ("Be rude.", 0.5, 10)
    assert request.response_format == schema


async def test_a_request_asks_for_less_than_the_agent_s_maximum_and_never_for_more() -> None:
    stage = stage_with()
    await ask(stage, max_tokens=1_000_000)
    assert stage.model.requests[0].max_tokens == stage.settings.max_tokens


async def test_the_agent_s_temperature_is_the_default() -> None:
    stage = stage_with(temperature=0.25)
    await ask(stage)
    assert stage.model.requests[0].temperature == 0.25


async def test_a_conversation_of_the_caller_s_stands_in_for_the_session() -> None:
    stage = stage_with()
    before = (UserMessage("My name is Ada."), AssistantMessage("Hello Ada."))
    await ask(stage, history=before)
    assert stage.model.requests[0].messages == [*before, UserMessage("Hello")]


async def test_a_long_conversation_is_trimmed_like_a_session_s() -> None:
    stage = stage_with(history_max_tokens=100)
    before = (UserMessage("x" * 4_000), AssistantMessage("y"), UserMessage("My name is Ada."), AssistantMessage("Hi."))
    answer = await ask(stage, history=before)
    assert stage.model.requests[0].messages == [*before[2:], UserMessage("Hello")]
    assert answer.degraded == ()


async def test_the_schema_of_an_answer_counts_as_what_the_model_reads() -> None:
    stage = Stage(ScriptedModel(answers("ok")), agents={"clerk": {}}, max_run_tokens=6_000)
    assert (await ask(stage)).answer == "ok"
    last = (await stage.events(agent="clerk", response_format={"type": "object", "title": "x" * 8_000}))[-1]
    assert isinstance(last, RunFailed)
    assert last.error.slug == "request-too-expensive"
