"""The last call that a run may make: without tools, so that there is an answer. And models that say nothing."""

import pytest

from app.errors import ContextTooLong, ModelUnavailable
from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage, UserMessage
from app.models.protocol import Completion
from app.runs.events import ToolFinished, ToolStarted
from app.runs.plan import ANSWER_NOW
from app.tools import tool
from tests.doubles import USAGE, Script, answers, asks_for
from tests.runs.rehearsal import Rehearsal, rehearse

CALL = ToolCall("1", "double", {"number": 4})
EXTRAS = Extras("double/scripted", {"reasoning_content": "hm"}, {"1": {"signature": "s"}})
TOO_LONG = ContextTooLong("too long")


@tool(trusted=True)
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


@tool(trusted=True)
async def recite() -> str:
    """Say a lot."""
    return "word " * 1000


def rehearsal(*scripts: Script, max_iterations: int = 10) -> Rehearsal:
    run = rehearse(*scripts, tools=[double, recite])
    run.max_iterations = max_iterations
    return run


async def test_the_last_call_goes_without_tools_and_says_so() -> None:
    run = rehearsal(asks_for(CALL), answers("8"), max_iterations=2)
    progress = await run.run()
    first, last = run.model.requests
    assert ([spec.name for spec in first.tools], last.tools) == (["double", "recite"], ())
    assert (first.system, last.system) == ("Be brief.", f"Be brief.\n\n{ANSWER_NOW}")
    assert (progress.text, progress.finish_reason) == ("8", "max_iterations")
    assert progress.messages[-1] == AssistantMessage("8")


async def test_a_run_of_one_call_is_told_nothing_of_tools() -> None:
    run = rehearsal(answers("8"), max_iterations=1)
    await run.run()
    [request] = run.model.requests
    assert (request.tools, request.system) == ((), "Be brief.")


async def test_a_model_that_asks_for_tools_in_its_last_call_all_the_same_gets_none() -> None:
    run = rehearsal(asks_for(CALL), max_iterations=3)
    progress = await run.run()
    assert len([event for event in run.events if isinstance(event, ToolStarted)]) == 2
    assert progress.text == "[There is no answer: the run came to a limit first (max_iterations).]"
    assert (progress.finish_reason, progress.iterations) == ("max_iterations", 3)
    assert progress.messages[-1] == AssistantMessage(progress.text, interrupted=True)


@pytest.mark.parametrize("silence", ["", " \n"])
async def test_a_model_that_says_nothing_is_asked_once_more(silence: str) -> None:
    run = rehearsal(asks_for(CALL), asks_for(text=silence), answers("8"))
    progress = await run.run()
    assert (progress.text, progress.finish_reason, progress.iterations) == ("8", "stop", 3)
    assert run.model.requests[-1].tools == ()
    assert run.model.requests[-1].system.endswith(ANSWER_NOW)
    assert [message.content for message in progress.messages] == ["", "8", "8"]


@pytest.mark.parametrize("max_iterations", [1, 5])
async def test_an_empty_answer_is_never_one(max_iterations: int) -> None:
    run = rehearsal(asks_for(text=""), max_iterations=max_iterations)
    with pytest.raises(ModelUnavailable, match="empty answer") as caught:
        await run.run()
    assert caught.value.reason == "empty_answer"
    assert len(run.model.requests) == min(max_iterations, 2)


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
async def test_a_refusal_is_an_answer_whatever_it_says(reason: str) -> None:
    progress = await rehearsal(answers(reason=reason)).run()  # type: ignore[arg-type]
    assert (progress.text, progress.finish_reason, progress.refused) == ("", reason, True)


async def test_what_a_model_wrote_beside_its_answer_goes_back_to_it() -> None:
    asked = Completion("tool_calls", USAGE, (CALL,), EXTRAS)
    run = rehearsal([asked], ["8", Completion("stop", USAGE, (), EXTRAS)])
    progress = await run.run()
    assert run.model.requests[1].messages[1] == AssistantMessage("", (CALL,), EXTRAS)
    assert progress.messages[-1] == AssistantMessage("8", (), EXTRAS)


async def test_a_conversation_that_is_too_long_is_asked_again_with_less() -> None:
    run = rehearsal([TOO_LONG], answers("8"))
    run.less = [UserMessage("short")]
    progress = await run.run(UserMessage("long"), AssistantMessage("long"), UserMessage("short"))
    assert [len(request.messages) for request in run.model.requests] == [3, 1]
    assert (progress.text, progress.iterations) == ("8", 1)


async def test_a_conversation_that_cannot_be_shorter_is_too_long() -> None:
    run = rehearsal([TOO_LONG])
    with pytest.raises(ContextTooLong):
        await run.run()
    assert len(run.model.requests) == 1


async def test_a_conversation_is_made_shorter_once() -> None:
    run = rehearsal([TOO_LONG])
    run.less = [UserMessage("short")]
    with pytest.raises(ContextTooLong):
        await run.run()
    assert len(run.model.requests) == 2


async def test_an_answer_that_has_begun_is_not_begun_again() -> None:
    run = rehearsal(["It is", TOO_LONG])
    run.less = [UserMessage("short")]
    with pytest.raises(ContextTooLong):
        await run.run()
    assert len(run.model.requests) == 1
    assert run.progress.interrupted() == [AssistantMessage("It is", interrupted=True)]


async def test_results_that_do_not_fit_are_cut_in_the_middle() -> None:
    run = rehearsal(asks_for(ToolCall("1", "recite", {})), [TOO_LONG], answers("8"))
    progress = await run.run()
    result = progress.messages[1]
    assert isinstance(result, ToolMessage)
    assert "the middle of these 5000 characters is left out" in result.content
    assert 2400 < len(result.content) <= 2500
    assert progress.results_shortened


@pytest.mark.parametrize("window", [None, 100_000])
async def test_a_window_with_room_changes_nothing(window: int | None) -> None:
    run = rehearsal(answers("8"))
    run.model.context_window = window
    await run.run()
    assert run.model.requests[0].max_tokens == 1000


async def test_an_answer_may_be_as_long_as_the_window_has_room() -> None:
    run = rehearsal(answers("8"))
    run.model.context_window = 1000
    await run.run(UserMessage("x" * 400))
    assert 400 <= run.model.requests[0].max_tokens <= 600
    await run.run(UserMessage("x" * 4000))
    assert run.model.requests[1].max_tokens == 125


@pytest.mark.parametrize(
    ("chars", "seen"),
    [
        (2000, [("8", None), (None, "There is no tool called 'triple'. Tools there are: double, recite.")]),
        (0, [(None, None), (None, None)]),
        (5, [("8", None), (None, "There\n[cut: the first 5 of 66 characters]")]),
    ],
)
async def test_results_and_errors_are_shown_up_to_a_bound(
    chars: int, seen: list[tuple[str | None, str | None]]
) -> None:
    run = rehearsal(asks_for(CALL, ToolCall("2", "triple", {})), answers("8"))
    run.shown_chars = chars
    await run.run()
    shown = [(record.result, record.error) for record in run.progress.tool_calls]
    finished = [(event.result, event.error) for event in run.events if isinstance(event, ToolFinished)]
    assert shown == finished
    assert sorted(shown, key=repr) == sorted(seen, key=repr)


async def test_calls_that_no_api_takes_back_run_once_and_are_made_valid() -> None:
    odd = [
        ToolCall("", "double", {"number": 1}),
        ToolCall("same", "double", {"number": 2}),
        ToolCall("same", " double\n", {"number": 3}),
        ToolCall("ü" * 50, "my tool!" * 20, {}),
    ]
    run = rehearsal(asks_for(*odd), asks_for(ToolCall("same", "double", {"number": 5})), answers("8"))
    earlier: list[Message] = [
        UserMessage("hi"),
        AssistantMessage("", (ToolCall("call", "double", {"number": 9}),)),
        ToolMessage("call", "double", "18"),
        AssistantMessage("18"),
    ]
    progress = await run.run(*earlier, UserMessage("go"))
    asked = [call for m in progress.messages if isinstance(m, AssistantMessage) for call in m.tool_calls]
    results = [message for message in progress.messages if isinstance(message, ToolMessage)]
    assert [call.id for call in asked] == [result.tool_call_id for result in results]
    assert [call.id for call in asked] == ["call_2", "same", "same_2", "_" * 40, "same_3"]
    assert [call.name for call in asked] == ["double", "double", "double", ("my_tool_" * 20)[:64], "double"]
    assert [result.content for result in results][:3] == ["2", "4", "6"]
    assert results[3].is_error
    assert sorted(record.status for record in progress.tool_calls) == ["error", "ok", "ok", "ok", "ok"]
