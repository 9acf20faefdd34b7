"""The loop between a model and its tools: what is called, what the model is told of it, what callers see."""

import asyncio
from typing import Any, Never

import pytest

from app.errors import ModelUnavailable
from app.limits.allowance import Growth
from app.messages import AssistantMessage, ToolCall, ToolMessage, Turn, Usage, UserMessage
from app.runs.events import Token, ToolCallRecord, ToolFinished, ToolStarted, UsageReported
from app.runs.repair import repair
from app.tools import ToolContext, ToolError, tool
from tests.doubles import CHEAP, USAGE, ScriptedModel, answers, asks_for
from tests.runs.rehearsal import Rehearsal, rehearse


@tool(trusted=True)
async def double(number: int = 21) -> int:
    """Twice the number."""
    return 2 * number


@tool(trusted=True)
async def refuse() -> Never:
    """Never work."""
    raise ToolError("Not today.")


@tool(timeout_seconds=0.05, trusted=True)
async def hang() -> None:
    """Take too long."""
    await asyncio.Event().wait()


def call(name: str = "double", call_id: str = "1", malformed: str = "", **arguments: Any) -> ToolCall:
    return ToolCall(call_id, name, arguments, malformed)


async def test_an_answer_without_tools() -> None:
    run = rehearse(answers("Hel", "lo"))
    progress = await run.run(UserMessage("Hi"))
    assert (progress.text, progress.finish_reason, progress.iterations) == ("Hello", "stop", 1)
    assert progress.messages == [AssistantMessage("Hello")]
    assert (progress.usage, progress.cost_usd, progress.tool_calls) == (USAGE, 0.0, [])
    assert run.events == [Token("Hel"), Token("lo"), UsageReported("double/scripted", USAGE, 0.0)]
    assert run.settled == []


async def test_the_model_is_told_everything_it_has_to_know() -> None:
    run = rehearse(asks_for(call(number=4), text="Let me see."), answers("8"), tools=[double])
    run.stream = False
    await run.run(UserMessage("2 * 4?"))
    first, second = run.model.requests
    assert first.system == second.system == "Be brief."
    assert first.tools is second.tools
    [told] = first.tools
    assert (told.name, told.description, told.parameters) == ("double", "Twice the number.", double.parameters)
    assert first.messages == [UserMessage("2 * 4?")]
    assert second.messages == [
        UserMessage("2 * 4?"),
        AssistantMessage("Let me see.", (call(number=4),)),
        ToolMessage("1", "double", "8"),
    ]
    assert not first.stream


async def test_a_tool_call_is_seen_by_callers_and_kept_in_the_turn() -> None:
    run = rehearse(asks_for(call(number=4), text="Let me see."), answers("8"), tools=[double])
    progress = await run.run()
    assert run.named() == ["token", "usage", "tool.started", "tool.finished", "token", "usage"]
    assert run.events[2] == ToolStarted("1", "double", {"number": 4})
    finished = run.events[3]
    assert isinstance(finished, ToolFinished)
    assert (finished.id, finished.tool, finished.status) == ("1", "double", "ok")
    assert progress.tool_calls == [ToolCallRecord("double", {"number": 4}, "ok", finished.latency_ms)]
    assert (progress.text, progress.iterations) == ("8", 2)
    assert progress.messages == [
        AssistantMessage("Let me see.", (call(number=4),)),
        ToolMessage("1", "double", "8"),
        AssistantMessage("8"),
    ]
    assert progress.outside_seconds > 0


async def test_tools_asked_for_together_run_together_and_answer_in_the_order_of_their_calls() -> None:
    meeting = asyncio.Barrier(3)
    leave = [asyncio.Event() for _ in range(3)]
    leave[2].set()

    @tool(trusted=True)
    async def meet(place: int) -> int:
        """Wait for the others, then go in the opposite order."""
        await meeting.wait()
        await leave[place].wait()
        leave[place - 1].set()
        return place

    calls = [call("meet", str(place), place=place) for place in range(3)]
    run = rehearse(asks_for(*calls), answers("done"), tools=[meet])
    progress = await asyncio.wait_for(run.run(), 20)
    assert progress.messages[1:4] == [ToolMessage(str(place), "meet", str(place)) for place in range(3)]
    assert [event.id for event in run.events if isinstance(event, ToolStarted)] == ["0", "1", "2"]
    assert [event.id for event in run.events if isinstance(event, ToolFinished)] == ["2", "1", "0"]


@pytest.mark.parametrize(
    ("asked", "told", "status"),
    [
        (call(malformed='{"number": 4'), "not a JSON object", "error"),
        (call(number="four"), "Invalid arguments for double", "error"),
        (call("triple"), "no tool called 'triple'", "error"),
        (call("refuse"), "Not today.", "error"),
        (call("hang"), "no result within 0.05 seconds", "timeout"),
    ],
    ids=["malformed", "invalid", "unknown", "error", "timeout"],
)
async def test_what_goes_wrong_with_a_call_is_told_to_the_model_which_goes_on(
    asked: ToolCall, told: str, status: str
) -> None:
    run = rehearse(asks_for(asked), asks_for(call(call_id="2", number=4)), answers("8"), tools=[double, refuse, hang])
    progress = await run.run()
    result = run.model.requests[1].messages[-1]
    assert isinstance(result, ToolMessage)
    assert result.is_error
    assert told in result.content
    assert [record.status for record in progress.tool_calls] == [status, "ok"]
    assert (progress.text, progress.finish_reason) == ("8", "stop")


async def test_one_tool_that_fails_does_not_take_the_others_with_it() -> None:
    run = rehearse(asks_for(call("refuse", "1"), call("double", "2", number=1)), answers("ok"), tools=[double, refuse])
    progress = await run.run()
    assert progress.messages[1:3] == [
        ToolMessage("1", "refuse", "Not today.", is_error=True),
        ToolMessage("2", "double", "2"),
    ]


async def test_usage_and_cost_add_up_over_the_calls() -> None:
    first, second = Usage(100, 10, 40, 20), Usage(200, 20, 100, 0)
    run = Rehearsal(ScriptedModel(asks_for(call(), usage=first), answers("42", usage=second)), [double], price=CHEAP)
    progress = await run.run()
    assert progress.usage == first + second == Usage(300, 30, 140, 20)
    assert progress.cost_usd == pytest.approx(CHEAP.cost_usd(first) + CHEAP.cost_usd(second))
    assert [event.usage for event in run.events if isinstance(event, UsageReported)] == [first, second]


async def test_what_was_used_is_settled_while_the_tools_run() -> None:
    run = rehearse(asks_for(call()), asks_for(call()), answers("42"), tools=[double])
    await run.run()
    assert run.settled == [USAGE, USAGE + USAGE]


async def test_what_was_used_is_known_of_a_run_that_fails() -> None:
    error = ModelUnavailable("Try again.", reason="overloaded")
    run = rehearse(asks_for(call()), [error], tools=[double])
    with pytest.raises(ModelUnavailable):
        await run.run()
    assert (run.progress.usage, run.progress.iterations) == (USAGE, 2)
    assert [record.name for record in run.progress.tool_calls] == ["double"]


async def test_the_same_arguments_are_shown_as_were_called_with() -> None:
    huge = 2**70
    run = rehearse(asks_for(call(number=huge)), answers("big"), tools=[double])
    await run.run()
    assert run.model.requests[1].messages[-1] == ToolMessage("1", "double", str(2 * huge))


async def test_a_cancelled_loop_leaves_no_tool_and_no_model_call_behind() -> None:
    began, ended = asyncio.Event(), asyncio.Event()

    @tool(trusted=True)
    async def wait() -> None:
        """Wait."""
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    before = asyncio.all_tasks()
    run = rehearse(asks_for(call("wait", "1"), call("wait", "2")), tools=[wait])
    task = asyncio.create_task(run.run())
    await began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
    assert run.model.open == 0
    assert asyncio.all_tasks() == before


async def test_a_settlement_that_crashes_leaves_no_tool_running() -> None:
    ended = asyncio.Event()

    @tool(trusted=True)
    async def wait() -> None:
        """Wait."""
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    class Crashing(Rehearsal):
        async def settle(self, growth: Growth | None) -> None:
            await asyncio.sleep(0.01)
            raise LookupError

    before = asyncio.all_tasks()
    with pytest.RaisesGroup(LookupError):
        await Crashing(ScriptedModel(asks_for(call("wait"))), [wait]).run()
    assert ended.is_set()
    assert asyncio.all_tasks() == before


async def test_a_turn_of_many_calls_is_one_that_every_provider_accepts() -> None:
    calls = [asks_for(call("double", f"{i}-1"), call("refuse", f"{i}-2"), text=f"{i}") for i in range(3)]
    run = rehearse(*calls, answers("done"), tools=[double, refuse])
    progress = await run.run(UserMessage("go"))
    messages = (UserMessage("go"), *progress.messages)
    assert repair(Turn("id", 0.0, messages)) == messages


async def test_what_tools_used_is_told_once_each() -> None:
    @tool(trusted=True)
    async def look(context: ToolContext, page: str) -> str:
        """Look."""
        context.sources.extend((page, "https://all.example"))
        return page

    calls = asks_for(call("look", "1", page="https://a.example"), call("look", "2", page="https://b.example"))
    run = rehearse(calls, answers("done"), tools=[look])
    await run.run()
    assert sorted(run.context.state.sources) == ["https://a.example", "https://all.example", "https://b.example"]
