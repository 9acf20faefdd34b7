"""The embedded model: its rules, and that it keeps to the protocol."""

import time
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.protocol import ModelRequest
from app.models.providers.demo.model import INTRODUCTION, DemoModel
from tests.models.whole_answer import CALCULATOR, CLOCK, WholeAnswer, ask, whole_answer

TOOLS = (CALCULATOR, CLOCK)
model = DemoModel(word_seconds=0)


async def answer(*messages: Message, max_tokens: int = 1024) -> WholeAnswer:
    return await whole_answer(model, ModelRequest("Be brief.", messages, TOOLS, max_tokens))


def asked(answer: WholeAnswer) -> list[tuple[str, dict[str, object]]]:
    return [(call.name, call.arguments) for call in answer.calls]


async def test_it_says_what_it_is() -> None:
    said = await answer(UserMessage("Hello there"))
    assert said.text.startswith("I am a demo model")
    assert "“Hello there”" in said.text
    assert said.end.stop_reason == "stop"


@pytest.mark.parametrize(
    ("message", "expression"),
    [
        ("what is 12 * (3 + 4)?", "12 * (3 + 4)"),
        ("(1+2)*3", "(1+2)*3"),
        ("Work out -3 + 5.5/2, please.", "-3 + 5.5/2"),
        ("2**10", "2**10"),
        ("1,000 * 3", "1,000 * 3"),
        ("2 ^ 10 - what is that?", "2 ^ 10"),
        ("Tell me (is it 2 + 2?)", "2 + 2"),
        ("a list (like 2 * (3 + 4))", "2 * (3 + 4)"),
        ("((2 + 2", "2 + 2"),
        ("5 // 2 and 7", "5 // 2"),
        ("3 - -2", "3 - -2"),
        ("10 % 3 = ?", "10 % 3"),
    ],
)
async def test_arithmetic_goes_to_the_calculator(message: str, expression: str) -> None:
    said = await answer(UserMessage(message))
    assert asked(said) == [("calculator", {"expression": expression})]
    assert said.end.stop_reason == "tool_calls"
    assert said.text == ""


@pytest.mark.parametrize(
    "message",
    ["I have 3 (three) cats", "born 2001-02-03", "call 5", "a - b", "7 % of us", "v1.2.3", "5 - nothing"],
)
async def test_what_is_no_arithmetic_does_not(message: str) -> None:
    assert not (await answer(UserMessage(message))).calls


@pytest.mark.parametrize(
    ("message", "zone"),
    [
        ("what time is it in Tokyo?", "Asia/Tokyo"),
        ("What's the date in new york?", "America/New_York"),
        ("time in America/Argentina/Buenos_Aires", "America/Argentina/Buenos_Aires"),
        ("Which day is it today?", "UTC"),
    ],
)
async def test_the_time_comes_from_the_clock(message: str, zone: str) -> None:
    assert asked(await answer(UserMessage(message))) == [("clock", {"zone": zone})]


PIECES = ["(", "1", "-", "1-", "1 ", " ", ".", "1.", ")", "1(", "A", "/", "A/", "2000-1", "a\n"]


@pytest.mark.parametrize("piece", PIECES)
async def test_long_messages_take_no_time(piece: str) -> None:
    message = piece * (10_000 // len(piece))
    for text in (message, f"1{message}", f"{message}x"):
        started = time.process_time()
        await answer(UserMessage(text))
        assert time.process_time() - started < 0.1


async def test_both_at_once() -> None:
    said = await answer(UserMessage("What is 2 + 2 and what time is it in Paris?"))
    assert asked(said) == [("calculator", {"expression": "2 + 2"}), ("clock", {"zone": "Europe/Paris"})]
    assert len({call.id for call in said.calls}) == 2


async def test_tools_that_are_not_offered_are_not_called() -> None:
    assert not (await whole_answer(model, ask("2 + 2, and the time?"))).calls


async def test_results_are_told() -> None:
    calls = (ToolCall("a", "calculator", {}), ToolCall("b", "clock", {}))
    said = await answer(
        UserMessage("2 + 2 and the time on the Moon?"),
        AssistantMessage("", calls),
        ToolMessage("a", "calculator", "4"),
        ToolMessage("b", "clock", "no zone Moon", is_error=True),
    )
    assert said.text == f"{INTRODUCTION} The calculator says: 4. The clock could not help: no zone Moon."
    assert not said.calls


async def test_a_result_of_several_values_is_told_as_such() -> None:
    result = ToolMessage("a", "clock", '{"time":"2026-01-01T12:00:00+00:00","weekday":"Thursday"}')
    said = await answer(UserMessage("time?"), AssistantMessage("", (ToolCall("a", "clock", {}),)), result)
    assert said.text.endswith("The clock says: 2026-01-01T12:00:00+00:00, Thursday.")


async def test_it_remembers_the_session() -> None:
    first = await answer(UserMessage("what did I say before?"))
    assert "first message" in first.text
    second = await answer(UserMessage("I like tea"), AssistantMessage("Fine."), UserMessage("what did I say before?"))
    assert "1 earlier message" in second.text
    assert "“I like tea”" in second.text
    third = await answer(UserMessage("a"), AssistantMessage("b"), UserMessage("c"), UserMessage("Do you remember?"))
    assert "2 earlier messages" in third.text


async def test_long_messages_are_quoted_in_part() -> None:
    said = await answer(UserMessage("x" * 10_000))
    assert len(said.text) < 500


async def test_no_messages_at_all() -> None:
    assert (await answer()).text == INTRODUCTION


async def test_plain_and_streamed_are_the_same() -> None:
    streamed = await whole_answer(model, ask("Hello,  you\nthere"))
    plain = await whole_answer(model, ask("Hello,  you\nthere", stream=False))
    assert len(streamed.texts) > 10
    assert len(plain.texts) == 1
    assert (streamed.text, streamed.end) == (plain.text, plain.end)


async def test_a_stream_can_be_seen_to_be_one() -> None:
    visible = DemoModel(word_seconds=0.01)
    started = time.monotonic()
    words = len((await whole_answer(visible, ask())).texts)
    assert time.monotonic() - started >= 0.01 * words
    started = time.monotonic()
    await whole_answer(visible, ask(stream=False))
    assert time.monotonic() - started < 0.01 * words


async def test_max_tokens_cuts_it() -> None:
    said = await answer(UserMessage("Hello"), max_tokens=5)
    assert said.end.stop_reason == "max_tokens"
    assert said.end.usage.output_tokens <= 5


async def test_history_is_counted() -> None:
    short = (await answer(UserMessage("Hello"))).end.usage
    history: Sequence[Message] = [
        UserMessage("word " * 100),
        AssistantMessage("Fine.", (ToolCall("a", "b", {"c": 1}),)),
    ]
    long = (await answer(*history, UserMessage("Hello"))).end.usage
    assert long.input_tokens > short.input_tokens + 100
    assert long.output_tokens == short.output_tokens


async def test_it_is_alive() -> None:
    await model.probe()
    await model.aclose()


@given(st.text())
async def test_any_message_is_answered(message: str) -> None:
    said = await whole_answer(model, ask(message, tools=TOOLS))
    assert said.text or said.calls


def test_tokens_are_about_four_characters() -> None:
    assert estimated_tokens("") == 0
    assert estimated_tokens("Hello") == 2
    assert estimated_tokens("\ud800") == 1
    assert estimated_input_tokens(ask("x" * 400)) > 100
