"""A model that fails is followed by the next, at most once through the list. What was sent is never taken back."""

import asyncio
from typing import Any

import pytest

from app.agents.catalog import default_agent
from app.errors import AppError, ConfigurationError, ContextTooLong, ModelRateLimited, ModelUnavailable
from app.main import create_app
from app.messages import AssistantMessage, ToolCall, Usage, UserMessage
from app.models.protocol import Completion
from app.runs.events import Answer, Event, ModelSwitched, RunFailed, RunFinished, Token, ToolStarted
from app.runs.state import GO_ON
from app.settings import load
from app.tools import tool
from tests.doubles import CHEAP, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.stage import Stage

FIRST, SECOND, THIRD = "double/first", "double/second", "double/third"


def down(reason: str = "auth", **more: Any) -> ModelUnavailable:
    return ModelUnavailable("It is down.", reason=reason, permanent=reason == "auth", **more)


def first(*scripts: Any) -> ScriptedModel:
    return ScriptedModel(*scripts, name="first")


def second(*scripts: Any) -> ScriptedModel:
    return ScriptedModel(*(scripts or (answers("From ", "the second."),)), name="second")


def third(*scripts: Any) -> ScriptedModel:
    return ScriptedModel(*(scripts or (answers("From the third."),)), name="third")


def last_of(events: list[Event]) -> Answer:
    assert isinstance(events[-1], RunFinished), events[-1]
    return events[-1].answer


def failure_of(events: list[Event]) -> AppError:
    assert isinstance(events[-1], RunFailed), events[-1]
    return events[-1].error


def switches(events: list[Event]) -> list[ModelSwitched]:
    return [event for event in events if isinstance(event, ModelSwitched)]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_next_model_answers_and_the_answer_names_both(stream: bool) -> None:
    with capture_logs() as lines:
        events = await Stage(first([down()]), second()).events(stream=stream)
    answer = last_of(events)
    assert (answer.answer, answer.model, answer.fallback_from) == ("From the second.", SECOND, FIRST)
    assert (answer.attempts, answer.iterations) == (2, 1)
    assert switches(events) == [ModelSwitched(FIRST, SECOND, 0, "auth")]
    (switched,) = [line for line in lines if line["event"] == "model.switched"]
    assert (switched["model"], switched["to"], switched["reason"]) == (FIRST, SECOND, "auth")
    (ended,) = [line for line in lines if line["event"] == "agent.request.success"]
    assert (ended["model"], ended["fallback_from"], ended["attempts"]) == (SECOND, FIRST, 2)


async def test_without_a_failure_nothing_is_switched() -> None:
    events = await Stage(first(answers("Here.")), second()).events()
    answer = last_of(events)
    assert (answer.model, answer.fallback_from, answer.attempts) == (FIRST, None, 1)
    assert switches(events) == []


async def test_each_model_is_tried_once_and_the_soonest_retry_is_told() -> None:
    slow, soon, never = (
        down("overloaded", retry_after=30),
        ModelRateLimited("", reason="rate_limited", retry_after=7),
        down(),
    )
    models = first([slow]), second([soon]), third([never])
    with capture_logs() as lines:
        error = failure_of(await Stage(*models, model_retries=0).events())
    assert (error.status, error.retry_after) == (429, 7)
    assert [line["attempts"] for line in lines if line["event"] == "agent.request.failed"] == [3]
    assert [len(model.requests) for model in models] == [1, 1, 1]


async def test_a_model_that_was_asked_for_by_its_name_is_not_answered_for_by_another() -> None:
    others = first(answers("Not asked.")), third()
    error = failure_of(await Stage(others[0], second([down()]), others[1]).events(model=SECOND))
    assert error.slug == "model-unavailable"
    assert [model.requests for model in others] == [[], []]


async def test_an_agent_falls_back_on_its_own_models_only() -> None:
    own = third()
    stage = Stage(first([down()]), second(), own, agents={"own": {"models": (FIRST, THIRD)}})
    answer = await stage.answer(agent="own")
    assert (answer.model, len(own.requests)) == (THIRD, 1)


async def test_what_a_caller_has_to_change_is_no_reason_to_ask_another_model() -> None:
    spare = second()
    error = failure_of(await Stage(first([ContextTooLong("Too long.")]), spare).events())
    assert isinstance(error, ContextTooLong)
    assert spare.requests == []


async def test_a_conversation_that_is_too_long_goes_to_a_larger_model_and_to_no_smaller_one() -> None:
    small, smaller, large = first([ContextTooLong("Too long.")]), second(), third()
    small.context_window, smaller.context_window, large.context_window = 8_000, 4_000, 100_000
    answer = await Stage(small, smaller, large).answer()
    assert (answer.model, smaller.requests) == (THIRD, [])


async def test_a_stream_that_breaks_after_text_fails_and_what_came_is_kept() -> None:
    spare = second()
    cut = first(["Once upon", down("cut_stream")])
    stage = Stage(cut, spare, model_retries=0)
    events = await stage.events(session_id="s", stream=True)
    assert failure_of(events).slug == "model-unavailable"
    assert spare.requests == []
    (turn,) = await stage.remembered()
    assert turn.messages[1] == AssistantMessage("Once upon", interrupted=True)


async def test_reasoning_that_was_sent_is_not_taken_back_either() -> None:
    spare = second()
    stage = Stage(first([("reasoning", "Hm."), down("cut_stream")]), spare, model_retries=0)
    assert isinstance((await stage.events(stream=True))[-1], RunFailed)
    assert spare.requests == []


async def test_arguments_of_a_tool_call_were_sent_to_nobody() -> None:
    stage = Stage(first([("arguments", '{"x'), down("cut_stream")]), second(), model_retries=0)
    assert (await stage.answer(stream=True)).model == SECOND


async def test_a_plain_request_has_seen_nothing_yet() -> None:
    stage = Stage(first(["Half an ans", down("cut_stream")]), second(), model_retries=0)
    answer = await stage.answer()
    assert (answer.answer, answer.model) == ("From the second.", SECOND)


async def test_with_recovery_the_next_model_goes_on_with_the_text() -> None:
    cut, spare = first(["Once upon ", "a ti", down("cut_stream")]), second(answers("me there ", "was."))
    stage = Stage(cut, spare, model_retries=0, stream_recovery="continue")
    events = await stage.events("A tale", session_id="s", stream=True)
    answer = last_of(events)
    told = "".join(event.text for event in events if isinstance(event, Token))
    assert told == answer.answer == "Once upon a time there was."
    assert switches(events) == [ModelSwitched(FIRST, SECOND, len("Once upon a ti"), "cut_stream")]
    assert spare.requests[0].messages[-2:] == [AssistantMessage("Once upon a ti"), UserMessage(GO_ON)]
    assert answer.usage.output_tokens > 5, "both calls are billed"
    (turn,) = await stage.remembered()
    assert turn.messages == (UserMessage("A tale"), AssistantMessage(answer.answer))


async def test_recovery_is_tried_once() -> None:
    models = (
        first(["One ", down("cut_stream")]),
        second(["two ", down("cut_stream")]),
        third(answers("three.")),
    )
    stage = Stage(*models, model_retries=0, stream_recovery="continue")
    events = await stage.events(session_id="s", stream=True)
    assert isinstance(events[-1], RunFailed)
    assert models[2].requests == []
    (turn,) = await stage.remembered()
    assert turn.messages[1] == AssistantMessage("One two ", interrupted=True)


@pytest.mark.parametrize("kind", ["arguments", "reasoning"])
async def test_recovery_does_not_start_within_a_tool_call_or_within_reasoning(kind: str) -> None:
    spare = second()
    cut = first(["Let me see.", (kind, "{"), down("cut_stream")])
    stage = Stage(cut, spare, model_retries=0, stream_recovery="continue")
    assert isinstance((await stage.events(stream=True))[-1], RunFailed)
    assert spare.requests == []


async def test_recovery_starts_in_text_that_follows_reasoning() -> None:
    cut = first([("reasoning", "Hm."), "Four", down("cut_stream")])
    stage = Stage(cut, second(answers("teen.")), model_retries=0, stream_recovery="continue")
    assert (await stage.answer(stream=True)).answer == "Fourteen."


async def test_the_rest_of_the_run_stays_with_the_model_that_answered_and_tools_are_not_run_again() -> None:
    runs = 0

    @tool(trusted=True)
    async def count() -> int:
        """Counts."""
        nonlocal runs
        runs += 1
        return runs

    call = ToolCall("a", "count", {})
    failing = first(asks_for(call), [down()], answers("never"))
    spare = second(asks_for(ToolCall("b", "count", {})), answers("Twice."))
    events = await Stage(failing, spare, tools=[count]).events()
    answer = last_of(events)
    assert (answer.answer, answer.model, answer.iterations, runs) == ("Twice.", SECOND, 3, 2)
    assert sum(isinstance(event, ToolStarted) for event in events) == 2
    assert len(failing.requests) == 2


async def test_a_spare_model_answers_instead_of_one_that_asks_to_wait() -> None:
    busy = first([ModelRateLimited("", reason="rate_limited", retry_after=5)])
    answer = await Stage(busy, second()).answer()
    assert (answer.model, answer.attempts) == (SECOND, 2)
    assert answer.latency_ms < 4000


async def test_what_failures_have_cost_is_no_fault_of_the_caller() -> None:
    unpaid = second()
    stage = Stage(first(["x" * 4000, down("cut_stream", retry_after=3)]), unpaid, max_run_tokens=360, max_tokens=100)
    error = failure_of(await stage.events("a" * 200))
    assert (error.slug, error.retry_after, unpaid.requests) == ("model-unavailable", 3, [])


async def test_a_model_that_says_nothing_twice_is_followed_by_the_next() -> None:
    silent = first([Completion("stop", Usage(10, 0))])
    answer = await Stage(silent, second()).answer(stream=True)
    assert (answer.answer, answer.model, answer.iterations) == ("From the second.", SECOND, 2)
    assert len(silent.requests) == 2


async def test_a_refusal_goes_to_the_next_model() -> None:
    refused = [Completion("refusal", Usage(10, 1))]
    answer = await Stage(first(refused), second()).answer(stream=True)
    assert (answer.model, answer.finish_reason, answer.usage) == (SECOND, "stop", Usage(20, 6))


async def test_a_refusal_by_every_model_is_the_answer() -> None:
    refused = [Completion("content_filter", Usage(10, 1))]
    answer = await Stage(first(refused), second(refused)).answer(stream=True)
    assert (answer.finish_reason, answer.answer) == ("content_filter", "")


async def test_a_refusal_stands_where_the_next_model_is_down() -> None:
    answer = await Stage(first([Completion("refusal", Usage(10, 1))]), second([down()])).answer(stream=True)
    assert (answer.finish_reason, answer.attempts) == ("refusal", 2)


async def test_a_dearer_model_is_called_once_its_price_is_reserved() -> None:
    dear = second()
    stage = Stage(
        first([down()]),
        dear,
        prices={SECOND: CHEAP},
        budget_user_day_usd=1,
    )
    answer = await stage.answer()
    assert answer.model == SECOND
    assert answer.cost_usd == pytest.approx(20e-6)


async def test_a_budget_that_does_not_cover_a_dearer_model_means_the_next_one_or_429() -> None:
    dear, free = second(), third()
    settings: dict[str, Any] = {"prices": {SECOND: CHEAP}, "budget_user_day_usd": 1e-9}
    answer = await Stage(first([down()]), dear, free, **settings).answer()
    assert (answer.model, dear.requests) == (THIRD, [])
    error = failure_of(await Stage(first([down()]), second(), **settings).events())
    assert (error.slug, error.status) == ("budget-exceeded", 429)


async def test_a_silent_model_leaves_the_others_their_share_of_the_time() -> None:
    silent = first([asyncio.Event()])
    stage = Stage(silent, second(), run_timeout_seconds=3.5)
    answer = await stage.answer(stream=True)
    assert (answer.model, silent.open) == (SECOND, 0)
    assert answer.latency_ms == pytest.approx(1250, rel=0.4)


async def test_a_stream_that_has_begun_may_take_all_of_the_time() -> None:
    @tool
    async def unused() -> str:
        """Is there."""
        return ""

    wait = asyncio.Event()
    asyncio.get_running_loop().call_later(1.5, wait.set)
    stage = Stage(
        first(["Slowly ", wait, "but surely.", Completion("stop", Usage(1, 1))]), second(), run_timeout_seconds=3
    )
    assert (await stage.answer(stream=True)).model == FIRST


def test_a_deadline_that_leaves_no_time_for_the_last_model_stops_the_start() -> None:
    settings = load(None, models=("demo", "openai/x"), openai_base_url="http://127.0.0.1:9/v1", unknown_price="allow")
    assert default_agent(settings, ()).timeout_seconds == 120
    with pytest.raises(ConfigurationError, match=r"RUN_TIMEOUT_SECONDS: .* set 1.1 or more"):
        create_app(settings.model_copy(update={"run_timeout_seconds": 1}))
