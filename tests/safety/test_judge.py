"""GUARD_MODEL: before the verdict on a question nothing of its answer is seen, and no tool is called."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.errors import GuardUnavailable, ModelUnavailable, UnsafeInput
from app.messages import ToolCall
from app.models.prices import flat_price
from app.runs.events import Event, RunFailed, RunFinished, RunStarted, Token
from app.runs.request import RunRequest
from app.safety.judge import Judge
from app.telemetry import guard_errors
from app.tools import tool
from tests.doubles import ADA, ScriptedModel, answers, asks_for, resilient
from tests.stage import Stage

GUARD = "llama-guard3:1b"


@pytest.fixture(autouse=True)
def no_errors_before() -> Iterator[None]:
    guard_errors._last.clear()
    yield
    guard_errors._last.clear()


def judge_of(model: ScriptedModel, *, seconds: float = 30.0, required: bool = False, price: Any = None) -> Judge:
    return Judge(resilient(model, price) if price else resilient(model), seconds, required)


def said(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Token))


def error_of(events: list[Event]) -> Exception:
    assert isinstance(events[-1], RunFailed), events
    return events[-1].error


def test_llama_guards_answers_are_read_as_it_writes_them() -> None:
    judge = judge_of(ScriptedModel(name=GUARD))
    assert judge.opinion("safe") == judge.opinion("\n\nsafe \n") == "safe"
    assert judge.opinion("unsafe\nS1,S2") == "harmful"
    assert judge.opinion("unsafe\nS14") == "tool-abuse"
    assert judge.opinion("I would say it is safe") is judge.opinion("") is judge.opinion("safe\nbut") is None
    assert judge.question("Hello").system == ""


def test_another_model_is_asked_for_one_word_about_a_text_that_cannot_close_its_fence() -> None:
    judge = judge_of(ScriptedModel(name="any"))
    assert [judge.opinion(word) for word in ("Safe.", "injection", "`harmful`")] == ["safe", "override", "harmful"]
    assert judge.opinion("safe, I think") is judge.opinion("unsafe") is None
    first, second = judge.question("Hello"), judge.question("Hello")
    assert first.system != second.system
    assert first.messages != second.messages


async def test_the_first_text_waits_for_the_verdict() -> None:
    verdict = asyncio.Event()
    judge = ScriptedModel([verdict, *answers("safe")], name=GUARD)
    stage = Stage(ScriptedModel(answers("Hel", "lo")), judge=judge_of(judge))
    async with stage.runner.start(ADA, RunRequest("Hello", stream=True)) as run:
        events = [await anext(run)]
        assert isinstance(events[0], RunStarted)
        await stage.model.opened.wait()  # both are asked at once
        await judge.opened.wait()
        for _ in range(20):
            await asyncio.sleep(0)
        assert run.take() == []
        verdict.set()
        events += [event async for event in run]
    assert said(events) == "Hello"
    assert isinstance(events[-1], RunFinished)


@pytest.mark.parametrize("stream", [True, False])
async def test_an_unsafe_question_ends_the_run_and_nothing_of_its_answer_is_seen_or_kept(stream: bool) -> None:
    judge = ScriptedModel(answers("unsafe\nS1"), name=GUARD)
    never = asyncio.Event()
    stage = Stage(ScriptedModel(["Sure, ", never]), judge=judge_of(judge))
    events = await stage.events(stream=stream, session_id="s")
    error = error_of(events)
    assert isinstance(error, UnsafeInput)
    assert error.category == "harmful"
    assert said(events) == ""
    await asyncio.sleep(0.01)
    assert await stage.remembered() == []


async def test_no_tool_is_called_before_the_verdict() -> None:
    called = []

    @tool(effect="read")
    async def look() -> str:
        """Look."""
        called.append(1)
        return "seen"

    verdict = asyncio.Event()
    judge = ScriptedModel([verdict, *answers("unsafe\nS9")], name=GUARD)
    stage = Stage(
        ScriptedModel(asks_for(ToolCall("1", "look", {})), answers("Done")), tools=[look], judge=judge_of(judge)
    )
    run = asyncio.create_task(stage.events(tools=("look",)))
    await stage.model.opened.wait()
    await asyncio.sleep(0.02)
    assert called == []
    verdict.set()
    assert isinstance(error_of(await run), UnsafeInput)
    assert called == []


async def test_a_late_verdict_lets_the_text_go_and_an_unsafe_one_still_ends_the_run() -> None:
    verdict, rest = asyncio.Event(), asyncio.Event()
    judge = ScriptedModel([verdict, *answers("unsafe\nS1")], name=GUARD)
    stage = Stage(ScriptedModel(["Hel", rest, *answers("lo")]), judge=judge_of(judge, seconds=0.02))
    async with stage.runner.start(ADA, RunRequest("Hello", stream=True)) as run:
        events = [await anext(run), await anext(run)]
        assert said(events) == "Hel"
        verdict.set()
        events += [event async for event in run]
    assert isinstance(error_of(events), UnsafeInput)


async def test_a_verdict_that_is_required_ends_a_run_that_it_does_not_come_in_time_for() -> None:
    judge = ScriptedModel([asyncio.Event()], name=GUARD)
    stage = Stage(ScriptedModel(answers("Hello")), judge=judge_of(judge, seconds=0.02, required=True))
    assert isinstance(error_of(await stage.events()), GuardUnavailable)
    assert guard_errors.failing_guards() == ["judge"]


async def test_a_verdict_that_is_not_required_does_not_keep_a_whole_answer_longer_than_its_time() -> None:
    judge = ScriptedModel([asyncio.Event()], name=GUARD)
    stage = Stage(ScriptedModel(answers("Hello")), judge=judge_of(judge, seconds=0.02))
    assert said(await stage.events()) == "Hello"
    assert judge.open == 0


@pytest.mark.parametrize(
    "script", [answers("Who knows"), [ModelUnavailable("Away.", reason="unreachable")], [ZeroDivisionError()]]
)
async def test_a_judge_that_breaks_or_says_something_else_lets_nothing_through(script: Any) -> None:
    stage = Stage(ScriptedModel(answers("Hello")), judge=judge_of(ScriptedModel(script, name=GUARD)))
    events = await stage.events()
    assert isinstance(error_of(events), GuardUnavailable)
    assert said(events) == ""
    assert guard_errors.failing_guards() == ["judge"]


async def test_the_run_pays_for_its_verdict() -> None:
    price = flat_price(1.0, 1.0, None, None)
    plain = await Stage(ScriptedModel(answers("Hello")), price=price).answer()
    judge = judge_of(ScriptedModel(answers("safe"), name=GUARD), price=price)
    stage = Stage(ScriptedModel(answers("Hello")), price=price, judge=judge)
    judged = await stage.answer()
    assert judged.usage.total == 2 * plain.usage.total
    assert judged.cost_usd == pytest.approx(2 * plain.cost_usd)
