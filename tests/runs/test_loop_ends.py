"""What ends the loop: an answer or a limit, each said in `finish_reason`, and a turn that can be kept."""

from dataclasses import replace

import pytest

from app.errors import RequestTooExpensive
from app.messages import AssistantMessage, ToolCall, Turn, Usage, UserMessage
from app.models.prices import FREE, Price, Rates
from app.runs.events import Token, ToolStarted
from app.runs.repair import repair
from app.tools import tool
from tests.doubles import CHEAP, Script, ScriptedModel, answers, asks_for
from tests.runs.rehearsal import Rehearsal

NOTHING = "[There is no answer: the run came to a limit first (max_tokens).]"
CALL = ToolCall("1", "double", {"number": 4})
ASKS: Script = asks_for(CALL, text="Let me see.")
HEAVY: Script = asks_for(CALL, text="Let me see.", usage=Usage(2000, 900))
DEAR = Price((Rates(above=0, input=1000.0, output=2000.0, cache_read=100.0, cache_write=1250.0),))


@tool
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def rehearsal(*scripts: Script) -> Rehearsal:
    return Rehearsal(ScriptedModel(*scripts), [double])


@pytest.mark.parametrize(
    ("run", "reason", "text", "iterations"),
    [
        (rehearsal(answers("8")), "stop", "8", 1),
        (rehearsal(answers("It is", reason="max_tokens")), "max_tokens", "It is", 1),
        (rehearsal([*asks_for(CALL, text="I")[:-1], *answers(reason="max_tokens")]), "max_tokens", "I", 1),
        (replace(rehearsal(ASKS), max_iterations=1), "max_iterations", "Let me see.", 1),
        (replace(rehearsal(answers("8")), max_iterations=1), "stop", "8", 1),
        (replace(rehearsal(ASKS, answers("8")), max_iterations=2), "max_iterations", "8", 2),
        (replace(rehearsal(ASKS, answers("8")), max_iterations=3), "stop", "8", 2),
        (replace(rehearsal(ASKS), max_iterations=3), "max_iterations", "Let me see.", 3),
        (replace(rehearsal(asks_for(CALL, usage=Usage(10, 300))), max_tokens=300), "max_tokens", NOTHING, 1),
        (replace(rehearsal(ASKS, asks_for(CALL, usage=Usage(10, 996)))), "max_tokens", NOTHING, 2),
        (replace(rehearsal(ASKS), price=DEAR, max_cost_usd=0.03, reserved_usd=99), "max_cost", "Let me see.", 2),
        # what was reserved, rather than what is asked for, ends it
        (replace(rehearsal(HEAVY), price=DEAR, reserved_usd=5), "max_cost", "Let me see.", 1),
        (replace(rehearsal(HEAVY), reserved_tokens=3000), "max_tokens", "Let me see.", 1),
    ],
)
async def test_the_reason_of_the_end_is_told(run: Rehearsal, reason: str, text: str, iterations: int) -> None:
    progress = await run.run()
    assert (progress.finish_reason, progress.text, progress.iterations) == (reason, text, iterations)
    assert len(run.model.requests) == iterations


@pytest.mark.parametrize("limit", ["max_iterations", "max_tokens", "max_cost"])
async def test_calls_that_are_not_executed_leave_nothing_dangling(limit: str) -> None:
    run = rehearsal(ASKS)
    match limit:
        case "max_iterations":
            run.max_iterations = 2
        case "max_tokens":
            run.max_tokens = 10
        case "max_cost":
            run.price, run.max_cost_usd = CHEAP, 0.00003
    progress = await run.run(UserMessage("2 * 4?"))
    assert (progress.finish_reason, progress.iterations) == (limit, 2)
    assert len([event for event in run.events if isinstance(event, ToolStarted)]) == 1
    assert progress.messages[-1] == AssistantMessage("Let me see.", interrupted=limit != "max_iterations")
    messages = (UserMessage("2 * 4?"), *progress.messages)
    assert repair(Turn("id", 0.0, messages)) == (*messages[:-1], AssistantMessage("Let me see."))


async def test_the_calls_of_an_answer_that_was_cut_are_not_executed() -> None:
    run = rehearsal([*asks_for(CALL)[:-1], *answers(reason="max_tokens")])
    progress = await run.run()
    assert progress.finish_reason == "max_tokens"
    assert progress.tool_calls == []
    assert progress.messages == [AssistantMessage(NOTHING, interrupted=True)]
    assert run.events[-1] == Token(NOTHING)


async def test_each_call_may_write_what_is_left() -> None:
    run = rehearsal(asks_for(CALL, usage=Usage(10, 300)), asks_for(CALL, usage=Usage(10, 200)), answers("8"))
    await run.run()
    assert [request.max_tokens for request in run.model.requests] == [1000, 700, 500]


@pytest.mark.parametrize("price", [FREE, DEAR])
async def test_a_request_that_cannot_be_paid_for_is_refused_before_the_model_is_called(price: Price) -> None:
    run = rehearsal(answers("8"))
    run.price = price
    if price is FREE:
        run.reserved_tokens = 100
    else:
        run.reserved_usd = 0.01
    with pytest.raises(RequestTooExpensive):
        await run.run(UserMessage("x" * 200))
    assert run.model.requests == []
    assert run.progress.iterations == 0
    assert run.progress.messages == []


async def test_a_run_whose_next_call_would_not_fit_keeps_what_it_has() -> None:
    run = replace(rehearsal(HEAVY), reserved_tokens=3000)
    progress = await run.run(UserMessage("2 * 4?"))
    assert [record.name for record in progress.tool_calls] == ["double"]
    messages = (UserMessage("2 * 4?"), *progress.messages)
    assert repair(Turn("id", 0.0, messages)) == (*messages[:-1], AssistantMessage(progress.text))
