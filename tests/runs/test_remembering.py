"""What a run is given of its session, and what it leaves there."""

import asyncio

import msgspec
import pytest

from app.errors import ContextTooLong, ModelUnavailable, RequestTooExpensive
from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage, UserMessage
from app.models.protocol import Completion
from app.runs.events import RunFailed, Token
from app.runs.request import RunRequest
from app.tools import tool
from tests.doubles import ADA, USAGE, ScriptedModel, answers, asks_for
from tests.logged import capture_logs
from tests.stage import Stage

CALL = ToolCall("1", "double", {"number": 4})
REASONED = Extras("double/scripted", {"reasoning_content": "hm"})


@tool(trusted=True)
async def double(number: int) -> int:
    """Twice the number."""
    return 2 * number


def asked(stage: Stage) -> list[str]:
    """What the model was given last."""
    return [message.content for message in stage.model.requests[-1].messages]


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
async def test_a_turn_that_was_refused_is_not_kept(reason: str) -> None:
    refusal = answers("I cannot", reason=reason)  # type: ignore[arg-type]
    stage = Stage(ScriptedModel(answers("Hello"), refusal, asks_for(CALL), refusal, answers("ok")), tools=[double])
    await stage.answer("Hi", session_id="s")
    for message in ("Do harm", "Do harm with tools"):
        answer = await stage.answer(message, session_id="s")
        assert (answer.answer, answer.finish_reason) == ("I cannot", reason)
    await stage.answer("Thanks", session_id="s")
    assert asked(stage) == ["Hi", "Hello", "Thanks"]
    assert len(await stage.remembered()) == 2


async def test_a_model_is_given_back_what_it_wrote_beside_its_answer_and_no_other_is() -> None:
    first, second = (
        ScriptedModel(["Hello", Completion("stop", USAGE, (), REASONED)]),
        ScriptedModel(answers("ok"), name="b"),
    )
    stage = Stage(first, second)
    await stage.answer("Hi", session_id="s")
    await stage.answer("Go on", session_id="s")
    await stage.answer("Go on", session_id="s", model="b")
    assert first.requests[-1].messages[1] == AssistantMessage("Hello", (), REASONED)
    assert second.requests[-1].messages[1] == AssistantMessage("Hello")


async def test_what_a_limit_ended_is_remembered_with_its_results() -> None:
    stage = Stage(ScriptedModel(asks_for(CALL), answers("It is", reason="max_tokens"), answers("ok")), tools=[double])
    await stage.answer("Compute", session_id="s")
    [turn] = await stage.remembered()
    assert turn.messages[-1] == AssistantMessage("It is", interrupted=True)
    await stage.answer("Go on", session_id="s")
    messages = stage.model.requests[-1].messages
    assert messages[1:4] == [AssistantMessage("", (CALL,)), ToolMessage("1", "double", "8"), AssistantMessage("It is")]


@pytest.mark.parametrize(("window", "left"), [(None, 6), (100_000, 6), (900, 6), (600, 2), (400, 2), (150, 2), (20, 0)])
async def test_history_is_trimmed_to_the_models_window(window: int | None, left: int) -> None:
    stage = Stage(ScriptedModel(answers("x" * 400)), max_tokens=200)
    for number in range(3):
        await stage.answer(f"{number}" + "x" * 399, session_id="s")
    stage.model.context_window = window
    answer = await stage.answer("Go on", session_id="s")
    assert len(asked(stage)) == left + 1
    assert answer.degraded == (() if left == 6 else ("history",))


async def test_a_conversation_that_the_provider_finds_too_long_goes_on_with_half() -> None:
    too_long = ContextTooLong("too long")
    model = ScriptedModel(*[answers("x" * 400)] * 4, [too_long], answers("ok"), [too_long])
    stage = Stage(model)
    for number in range(4):
        await stage.answer(f"{number}" + "x" * 399, session_id="s")
    answer = await stage.answer("Go on", session_id="s")
    assert (answer.answer, answer.degraded, answer.iterations) == ("ok", ("history",), 1)
    assert [content[0] for content in asked(stage)] == ["2", "x", "3", "x", "G"]
    failed = (await stage.events("Go on", session_id="s"))[-1]
    assert isinstance(failed, RunFailed)
    assert isinstance(failed.error, ContextTooLong)
    assert len(model.requests) == 8
    assert len(await stage.remembered()) == 5


@pytest.mark.parametrize("error", [ContextTooLong("too long"), RequestTooExpensive("too much")])
async def test_a_question_that_cannot_be_answered_is_not_kept(error: Exception) -> None:
    stage = Stage(ScriptedModel([error]))
    await stage.events("Hello", session_id="s")
    assert await stage.remembered() == []


async def test_what_tools_have_said_is_kept_of_a_run_whose_provider_then_fails() -> None:
    stage = Stage(ScriptedModel(asks_for(CALL), [ModelUnavailable("", reason="timeout")]), tools=[double])
    await stage.events("Compute", session_id="s")
    [turn] = await stage.remembered()
    assert turn.messages[1:] == (
        AssistantMessage("", (CALL,)),
        ToolMessage("1", "double", "8"),
        AssistantMessage("", interrupted=True),
    )


async def test_of_tools_that_are_cut_off_those_that_are_done_keep_their_results() -> None:
    @tool(trusted=True)
    async def hang() -> None:
        """Hang."""
        await asyncio.Event().wait()

    calls = asks_for(CALL, ToolCall("2", "hang", {}), text="Let me see.")
    stage = Stage(ScriptedModel(calls), tools=[double, hang], run_timeout_seconds=0.3)
    await stage.events("Compute", session_id="s")
    [turn] = await stage.remembered()
    kinds: list[Message] = [UserMessage("Compute"), turn.messages[1], ToolMessage("1", "double", "8")]
    assert turn.messages == (*kinds, AssistantMessage("", interrupted=True))


async def test_a_turn_larger_than_a_session_may_be_is_kept_shortened() -> None:
    stage = Stage(ScriptedModel(answers('"' * 30_000)), session_max_bytes=10_000)
    answer = await stage.answer("Hi" + "\x01" * 9_000, session_id="s")
    assert len(answer.answer) == 30_000
    [turn] = await stage.remembered()
    assert 2_000 < len(msgspec.json.encode(turn)) <= 10_000
    question, said = turn.messages
    assert question.content.startswith("Hi")
    assert "the middle of these 30000 characters is left out" in said.content


async def test_a_runner_that_closes_lets_its_runs_say_what_they_had() -> None:
    stage = Stage(ScriptedModel(["Hel", asyncio.Event()]))
    run = stage.runner.start(ADA, RunRequest("Hello", session_id="s"))
    async for event in run:
        if isinstance(event, Token):
            break
    await stage.runner.aclose()
    assert [type(event) async for event in run] == [RunFailed]
    await stage.sessions.aclose()
    [turn] = await stage.remembered()
    assert turn.messages == (UserMessage("Hello"), AssistantMessage("Hel", interrupted=True))


async def test_runs_that_do_not_end_are_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.runs.runner._LAST_WORDS_SECONDS", 0.05)
    release = asyncio.Event()

    class Stubborn(ScriptedModel):
        async def generate(self, *_: object) -> Completion:
            try:
                await asyncio.Event().wait()
            finally:
                await release.wait()
            raise AssertionError

    stage = Stage(Stubborn())
    run = stage.runner.start(ADA, RunRequest("Hello")).begin()
    await asyncio.sleep(0.01)
    with capture_logs() as logs:
        await stage.runner.aclose()
    assert [(line["event"], line["runs"]) for line in logs] == [("runs.left", 1)]
    release.set()
    assert [event.name async for event in run] == ["run.started", "run.failed"]
