"""A run from end to end: who may have what, what is remembered, what the answer says."""

import asyncio
import time

import pytest
from msgspec.structs import replace
from prometheus_client import REGISTRY

from app.errors import Forbidden, NotFound
from app.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from app.runs.events import RunFinished, RunStarted, Token, UsageReported
from app.runs.request import RunRequest
from app.telemetry.context import RequestContext, current
from app.tools import tool
from tests.doubles import ADA, CHEAP, USAGE, AbsentStore, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.stage import Stage


@tool(trusted=True)
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


CALL = ToolCall("1", "double", {"number": 4})


async def test_a_run_starts_speaks_and_finishes() -> None:
    stage = Stage(ScriptedModel(answers("Hel", "lo")))
    current.set(RequestContext("a-request", "a-trace"))
    events = await stage.events(session_id="s", stream=True)
    assert [event.name for event in events] == ["run.started", "token", "token", "usage", "run.finished"]
    started, finished = events[0], events[-1]
    assert isinstance(started, RunStarted)
    assert isinstance(finished, RunFinished)
    assert (started.session_id, started.model) == ("s", "double/scripted")
    assert (started.request_id, started.trace_id) == ("a-request", "a-trace")
    answer = finished.answer
    assert started.message_id == answer.message_id
    assert (answer.answer, answer.session_id, answer.finish_reason) == ("Hello", "s", "stop")
    assert (answer.request_id, answer.trace_id) == ("a-request", "a-trace")
    assert (answer.usage, answer.tokens_used, answer.iterations) == (USAGE, USAGE.total, 1)
    assert (answer.cached, answer.sources, answer.degraded) == (False, (), ())
    assert answer.latency_ms > 0
    assert events[1:4] == [Token("Hel"), Token("lo"), UsageReported("double/scripted", USAGE, 0.0)]


async def test_an_answer_tells_of_its_tools_and_its_cost() -> None:
    stage = Stage(ScriptedModel(asks_for(CALL), answers("8")), tools=[double], price=CHEAP)
    answer = await stage.answer()
    assert [(record.name, record.arguments, record.status) for record in answer.tool_calls] == [
        ("double", {"number": 4}, "ok")
    ]
    assert (answer.answer, answer.iterations, answer.usage) == ("8", 2, USAGE + USAGE)
    assert answer.cost_usd == pytest.approx(2 * CHEAP.cost_usd(USAGE))


@pytest.mark.parametrize(
    ("request_", "error", "word"),
    [
        (RunRequest("Hi", agent="unknown"), NotFound, "default, mute"),
        (RunRequest("Hi", model="unknown"), NotFound, "double/scripted"),
        (RunRequest("Hi", tools=("double", "unknown")), NotFound, "unknown"),
    ],
)
async def test_what_there_is_not_is_told_before_anything_starts(
    request_: RunRequest, error: type[Exception], word: str
) -> None:
    store = AbsentStore()
    stage = Stage(ScriptedModel(answers("Hello")), tools=[double], store=store)
    before = asyncio.all_tasks()
    with pytest.raises(error, match=word):
        stage.runner.start(ADA, request_)
    assert asyncio.all_tasks() == before
    assert store.calls == []


async def test_a_tool_that_the_caller_may_not_use_is_refused_or_not_offered() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), tools=[double])
    eve = replace(ADA, scopes=frozenset({"chat"}))
    with pytest.raises(Forbidden):
        stage.runner.start(eve, RunRequest("Hi", tools=("double",)))
    await stage.answer("Hi", eve)
    await stage.answer("Hi")
    await stage.answer("Hi", tools=())
    assert [[spec.name for spec in request.tools] for request in stage.model.requests] == [[], ["double"], []]


async def test_a_request_chooses_its_model_and_its_agent() -> None:
    first, second = ScriptedModel(answers("first")), ScriptedModel(answers("second"), name="other")
    stage = Stage(first, second, tools=[double])
    assert (await stage.answer(model="double/other")).answer == "second"
    assert (await stage.answer(model="other")).model == "double/other"
    assert (await stage.answer(agent="mute")).answer == "first"
    [request] = first.requests
    assert (request.system, list(request.tools)) == ("Say nothing.", [])


async def test_a_request_may_ask_for_less_than_the_settings_allow_but_not_for_more() -> None:
    stage = Stage(ScriptedModel(asks_for(CALL)), tools=[double], max_iterations=3, price=CHEAP)
    assert (await stage.answer(max_iterations=2)).iterations == 2
    assert (await stage.answer(max_iterations=50)).iterations == 3
    spent = await stage.answer(max_cost_usd=0.01, max_iterations=1)
    assert spent.cost_usd <= 0.01


async def test_a_turn_is_remembered_and_recalled() -> None:
    stage = Stage(ScriptedModel(asks_for(CALL, text="Let me see."), answers("8"), answers("16")), tools=[double])
    first = await stage.answer("2 * 4?", session_id="s")
    [turn] = await stage.remembered()
    messages = (
        UserMessage("2 * 4?"),
        AssistantMessage("Let me see.", (CALL,)),
        ToolMessage("1", "double", "8"),
        AssistantMessage("8"),
    )
    assert (turn.message_id, turn.messages) == (first.message_id, messages)
    assert abs(turn.created_at - time.time()) < 60
    await stage.answer("And twice that?", session_id="s")
    assert stage.model.requests[-1].messages == [*messages, UserMessage("And twice that?")]
    assert len(await stage.remembered()) == 2


async def test_a_session_without_a_name_is_given_one_that_can_be_used() -> None:
    stage = Stage(ScriptedModel(answers("Hello")))
    answer = await stage.answer("Hi")
    await stage.answer("Again", session_id=answer.session_id)
    assert [message.content for message in stage.model.requests[-1].messages] == ["Hi", "Hello", "Again"]


async def test_sessions_of_the_same_name_are_apart() -> None:
    stage = Stage(ScriptedModel(answers("Hello")))
    await stage.answer("The secret is swordfish", session_id="s")
    await stage.answer("What is it?", replace(ADA, user="eve"), session_id="s")
    assert stage.model.requests[-1].messages == [UserMessage("What is it?")]


async def test_only_as_much_is_recalled_as_the_settings_allow() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), history_max_tokens=40)
    for number in range(3):
        await stage.answer(f"{number}" + "x" * 79, session_id="s")
    assert [message.content[0] for message in stage.model.requests[-1].messages] == ["1", "H", "2"]
    stage = Stage(ScriptedModel(answers("Hello")), history_max_tokens=0)
    await stage.answer("first", session_id="s")
    await stage.answer("second", session_id="s")
    assert stage.model.requests[-1].messages == [UserMessage("second")]


async def test_a_run_goes_on_without_a_store_and_says_so() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), store=AbsentStore())
    with capture_logs() as logs:
        answer = await stage.answer(session_id="s")
    assert (answer.answer, answer.degraded) == ("Hello", ("sessions",))
    [warning] = [line for line in logs if line["event"] == "state.unavailable"]
    assert (warning["log_level"], warning["error"]) == ("warning", "ConnectionError('away')")


async def test_a_run_without_limits_because_the_store_is_away_says_so_too() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), store=AbsentStore(), limits='{"global": {"per_minute": 9}}')
    assert (await stage.answer()).degraded == ("limits", "sessions")


@pytest.mark.parametrize("log_content", [False, True])
async def test_what_is_said_is_logged_only_when_that_is_wanted(log_content: bool) -> None:
    stage = Stage(ScriptedModel(answers("swordfish")), log_content=log_content)
    with capture_logs() as logs:
        await stage.answer("mackerel")
    start, _, end = logs
    assert (start["event"], end["event"]) == ("agent.request.start", "agent.request.success")
    assert (end["user"], end["model"], end["tokens"]) == ("ada", "double/scripted", USAGE.total)
    assert (start.get("content"), end.get("content")) == (("mackerel", "swordfish") if log_content else (None, None))
    assert log_content or "swordfish" not in str(logs)


async def test_the_time_outside_models_and_tools_is_measured() -> None:
    def overhead(what: str) -> float:
        return REGISTRY.get_sample_value(f"agent_overhead_seconds_{what}") or 0.0

    @tool(trusted=True)
    async def rest() -> None:
        """Take a while."""
        await asyncio.sleep(1)

    runs, seconds = overhead("count"), overhead("sum")
    stage = Stage(ScriptedModel(asks_for(ToolCall("1", "rest", {})), answers("ok")), tools=[rest])
    await stage.answer()
    assert overhead("count") == runs + 1
    assert overhead("sum") - seconds < 0.9
