"""How a run may end badly: what callers are told, what the log knows, and what is left behind: what was said."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.errors import DeadlineExceeded, InternalError, ModelUnavailable, RateLimited, RequestTooExpensive, ShuttingDown
from app.messages import AssistantMessage, Message, ToolCall, UserMessage
from app.runs.events import Event, RunFailed, RunFinished, RunStarted, Token
from app.runs.handle import RunHandle
from app.runs.repair import repair
from app.runs.request import RunRequest
from app.telemetry.context import current
from app.tools import tool
from tests.doubles import ADA, CHEAP, AbsentStore, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.runs.acceptable import assert_acceptable
from tests.stage import Stage
from tests.telemetry.recorded import traced_to

BUDGET: dict[str, Any] = {"budget_user_day_tokens": 100_000}


def never() -> ScriptedModel:
    return ScriptedModel(["Hel", asyncio.Event()])


def error_of(events: list[Event]) -> Exception:
    last = events[-1]
    assert isinstance(last, RunFailed), last
    return last.error


def others() -> set[asyncio.Task[Any]]:
    """Tasks but this one and the store's own: a command that was sent is not taken back."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    names = {task: getattr(task.get_coro(), "__qualname__", "") for task in tasks}
    return {
        task
        for task, name in names.items()
        if not name.startswith(("InProcessStore.", "Script.", "AbstractConnection."))
    }


async def said(stage: Stage) -> list[tuple[Message, ...]]:
    """What is remembered of the session, once it is written."""
    await stage.sessions.aclose()
    return [turn.messages for turn in await stage.remembered()]


CUT: list[tuple[Message, ...]] = [(UserMessage("Hello"), AssistantMessage("Hel", interrupted=True))]


async def begun(stage: Stage, **request: Any) -> RunHandle:
    """A run whose model has said its first word."""
    run = stage.runner.start(ADA, RunRequest("Hello", session_id="s", **request))
    async for event in run:
        if isinstance(event, Token):
            return run
    raise AssertionError


async def test_a_models_error_is_the_last_event() -> None:
    error = ModelUnavailable("Try again.", reason="overloaded")
    stage = Stage(ScriptedModel(["Hel", error]))
    with capture_logs() as logs:
        events = await stage.events(session_id="s")
    assert [event.name for event in events] == ["run.started", "token", "run.failed"]
    assert error_of(events) is error
    assert await said(stage) == CUT
    assert (logs[-1]["event"], logs[-1]["error"]) == ("agent.request.failed", "model-unavailable")


async def test_a_run_has_a_deadline() -> None:
    stage = Stage(never(), run_timeout_seconds=0.2)
    error = error_of(await stage.events(session_id="s"))
    assert isinstance(error, DeadlineExceeded)
    assert "0.2 s" in error.detail
    assert stage.model.open == 0
    assert await said(stage) == CUT


async def test_the_deadline_ends_tools_as_well() -> None:
    ended = asyncio.Event()

    @tool
    async def hang() -> None:
        """Hang."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    calls = asks_for(ToolCall("1", "hang", {}), ToolCall("2", "hang", {}))
    stage = Stage(ScriptedModel(calls), tools=[hang], run_timeout_seconds=0.2)
    assert isinstance(error_of(await stage.events()), DeadlineExceeded)
    assert ended.is_set()
    assert not others()


@pytest.mark.parametrize(
    "make",
    [lambda: LookupError("swordfish"), lambda: TimeoutError("swordfish")],
    ids=["a defect", "a timeout of a library"],
)
async def test_a_crash_tells_callers_nothing_and_the_log_everything(make: Callable[[], Exception]) -> None:
    stage = Stage(ScriptedModel(["Hel", make()]))
    with capture_logs() as logs:
        events = await stage.events(session_id="s")
    error = error_of(events)
    assert type(error) is InternalError
    assert "swordfish" not in str(error.detail)
    crash = next(line for line in logs if line["event"] == "agent.request.crashed")
    assert (crash["log_level"], "Traceback" in crash["exception"]) == ("error", True)
    assert (logs[-1]["event"], logs[-1]["error"]) == ("agent.request.failed", "internal-error")
    assert await said(stage) == CUT


async def test_a_request_that_is_too_expensive_is_told_so_before_the_model_is_called() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), max_run_tokens=50)
    events = await stage.events("x" * 100)
    assert isinstance(error_of(events), RequestTooExpensive)
    assert stage.model.requests == []


async def test_a_refused_run_does_not_start_and_leaves_no_task() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), limits='{"tiers": {"default": {"user": {"per_minute": 1}}}}')
    [started, *_, finished] = await stage.events(session_id="s")
    assert isinstance(started, RunStarted)
    assert "RateLimit" in started.headers
    assert isinstance(finished, RunFinished)
    events = await stage.events(session_id="s")
    assert isinstance(error_of(events), RateLimited)
    assert len(events) == 1
    assert len(stage.model.requests) == 1
    assert not others()


async def test_stop_ends_every_run() -> None:
    stage = Stage(never())
    runs = [await begun(stage) for _ in range(3)]
    waiting = stage.runner.start(ADA, RunRequest("Hello")).begin()
    stage.runner.stop()
    for run in [*runs, waiting]:
        assert isinstance(error_of([event async for event in run]), ShuttingDown)
    assert stage.model.open == 0
    assert not others()
    stage.runner.stop()  # there is nothing left to stop


async def test_a_finished_run_is_not_stopped() -> None:
    stage = Stage(ScriptedModel(answers("Hello")))
    run = stage.runner.start(ADA, RunRequest("Hello")).begin()
    await asyncio.wait(others())
    stage.runner.stop()
    last = [event async for event in run][-1]
    assert isinstance(last, RunFinished)


@pytest.mark.parametrize("midway", [False, True])
async def test_a_cancelled_run_leaves_what_was_said(midway: bool) -> None:
    stage = Stage(never())
    run = await begun(stage) if midway else stage.runner.start(ADA, RunRequest("Hello", session_id="s"))
    with capture_logs() as logs:
        async with run:
            run.cancel()
            assert [event async for event in run] == []
    assert stage.model.open == 0
    assert await said(stage) == (CUT if midway else [])
    ends = [line["error"] for line in logs if line["event"] == "agent.request.failed"]
    assert ends == ["cancelled"]
    assert not others()


@pytest.mark.parametrize("turns", range(0, 60, 3))
async def test_a_run_can_be_left_at_any_moment(turns: int) -> None:
    @tool
    async def double(number: int) -> int:
        """Twice the number."""
        return 2 * number

    calls = [ToolCall(str(number), "double", {"number": number}) for number in range(2)]
    model = ScriptedModel(asks_for(*calls), answers("done"))
    stage = Stage(model, tools=[double], price=CHEAP, **BUDGET)
    async with stage.runner.start(ADA, RunRequest("Hello", session_id="s")):
        for _ in range(turns):
            await asyncio.sleep(0)
    assert model.open == 0
    assert not others()
    for turn in await stage.remembered():
        assert_acceptable(repair(turn))
        cut = [getattr(message, "interrupted", False) for message in turn.messages]
        assert not any(cut[:-1])
        assert cut[-1] or len(cut) == 5


@pytest.mark.parametrize("end", ["left", "crashed"])
async def test_what_a_run_held_is_free_again_after_its_end(end: str) -> None:
    go = asyncio.Event()
    model = ScriptedModel(["Hel", go, LookupError()], answers("Hello"))
    stage = Stage(model, limits='{"tiers": {"default": {"user": {"concurrent": 1}}}}', **BUDGET)
    async with await begun(stage) as run:
        assert isinstance(error_of(await stage.events()), RateLimited)
        if end == "crashed":
            go.set()
            assert isinstance(error_of([event async for event in run]), InternalError)
    await stage.limiter.close()
    assert (await stage.answer()).answer == "Hello"


async def test_a_crash_of_the_sessions_is_a_crash_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(ScriptedModel(answers("Hello")), **BUDGET)

    async def crash(*_: object, **__: object) -> None:
        raise LookupError("swordfish")

    for method in ("recall", "append"):
        with monkeypatch.context() as patch, capture_logs():
            patch.setattr(stage.sessions, method, crash)
            error = error_of(await stage.events(session_id="s"))
        assert type(error) is InternalError
        assert not others()


async def test_budgets_are_closed_without_a_store() -> None:
    stage = Stage(ScriptedModel(answers("Hello")), store=AbsentStore(), **BUDGET)
    with capture_logs():
        events = await stage.events(session_id="s")
    assert [event.name for event in events] == ["run.failed"]
    assert stage.model.requests == []
    assert not others()


async def test_a_run_is_a_tree_of_spans() -> None:
    @tool
    async def refuse() -> None:
        """Fail."""
        raise ValueError("swordfish")

    memory = InMemorySpanExporter()
    current.set(traced_to(memory))
    model = ScriptedModel(asks_for(ToolCall("1", "refuse", {})), answers("ok"), [ModelUnavailable("", reason="x")])
    stage = Stage(model, tools=[refuse])
    await stage.events(session_id="s")
    spans = {span.name: span for span in memory.get_finished_spans()}
    names = {span.context.span_id: span.name for span in memory.get_finished_spans() if span.context}
    parents = {name: names[span.parent.span_id] if span.parent else None for name, span in spans.items()}
    assert parents == {
        "invoke_agent default": None,
        "agent.iteration": "invoke_agent default",
        "chat scripted": "agent.iteration",
        "execute_tool refuse": "agent.iteration",
    }
    root = spans["invoke_agent default"].attributes or {}
    assert (root["gen_ai.conversation.id"], root["agent.finish_reason"]) == ("s", "stop")
    assert (spans["execute_tool refuse"].attributes or {})["error.type"] == "error"
    memory.clear()
    await stage.events()
    [root_span] = [span for span in memory.get_finished_spans() if span.parent is None]
    assert root_span.status.description == "model-unavailable"
    assert not root_span.status.is_ok


async def test_a_model_that_is_asked_once_more_is_so_in_an_iteration_of_its_own() -> None:
    memory = InMemorySpanExporter()
    current.set(traced_to(memory))
    stage = Stage(ScriptedModel(answers(""), answers("8")))
    assert (await stage.answer()).iterations == 2
    spans = memory.get_finished_spans()
    iterations = [span for span in spans if span.name == "agent.iteration"]
    assert [(span.attributes or {})["agent.iteration.index"] for span in iterations] == [1, 2]
    calls = [span.parent.span_id for span in spans if span.name == "chat scripted" and span.parent]
    assert calls == [span.context.span_id for span in iterations if span.context]
