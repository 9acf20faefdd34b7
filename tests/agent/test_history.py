"""What a model is given of a session: whole turns, as many as fit, each such that every provider accepts it."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agent.history import estimate_tokens, repair, trim
from app.agent.worst_case import most_history_tokens, most_input_tokens
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Turn, UserMessage

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ids = st.sampled_from("abc")
arguments = st.dictionaries(texts, st.integers() | texts | st.floats(allow_nan=False) | st.none(), max_size=3)
calls = st.builds(ToolCall, ids, st.just("double"), arguments, texts)
results = st.builds(ToolMessage, ids, st.just("double"), texts, st.booleans())
users = st.builds(UserMessage, texts)
assistants = st.builds(AssistantMessage, texts, st.lists(calls, max_size=3).map(tuple))
messages = st.lists(users | assistants | results, max_size=12)
turns = st.builds(Turn, st.just("id"), st.just(0.0), messages.map(tuple))


@st.composite
def whole_messages(draw: st.DrawFn) -> list[Message]:
    """A turn as the loop leaves it: a question, calls each with its result, an answer."""
    said: list[Message] = [UserMessage(draw(texts))]
    for _ in range(draw(st.integers(0, 3))):
        asked = draw(st.lists(calls, min_size=1, max_size=3, unique_by=lambda call: call.id))
        said.append(AssistantMessage(draw(texts), tuple(asked)))
        said += [ToolMessage(call.id, call.name, draw(texts)) for call in asked]
    return [*said, AssistantMessage(draw(texts.filter(bool)))]


@st.composite
def damaged_turns(draw: st.DrawFn) -> Turn:
    """A whole turn of which messages are lost, doubled or out of place."""
    said = draw(whole_messages())
    for _ in range(draw(st.integers(1, 3))):
        at, other = draw(st.integers(0, len(said) - 1)), draw(st.integers(0, len(said) - 1))
        match draw(st.sampled_from(["lose", "double", "swap"])):
            case "lose" if len(said) > 1:
                del said[at]
            case "double":
                said.insert(other, said[at])
            case _:
                said[at], said[other] = said[other], said[at]
    return Turn("id", 0.0, tuple(said))


def whole(said: Sequence[Message]) -> Turn:
    return Turn("id", 0.0, tuple(said))


def assert_acceptable(said: Sequence[Message]) -> None:
    """What the strictest provider wants of a conversation that has been answered."""
    assert isinstance(said[0], UserMessage)
    last = said[-1]
    assert isinstance(last, AssistantMessage)
    assert last.content
    assert not last.tool_calls
    place = 0
    while place < len(said):
        message = said[place]
        place += 1
        assert not isinstance(message, ToolMessage), "a result without its call"
        if isinstance(message, AssistantMessage):
            assert message.content or message.tool_calls
            wanted = [call.id for call in message.tool_calls]
            answered = said[place : place + len(wanted)]
            given_ids = [result.tool_call_id for result in answered if isinstance(result, ToolMessage)]
            assert sorted(wanted) == sorted(given_ids), "each call has its one result, right after it"
            assert len(set(wanted)) == len(wanted)
            place += len(wanted)


@given(turns | damaged_turns())
def test_a_repaired_turn_is_one_that_every_provider_accepts(turn: Turn) -> None:
    repaired = repair(turn)
    if repaired:
        assert_acceptable(repaired)
        assert repair(whole(repaired)) == repaired


@given(whole_messages())
def test_a_whole_turn_is_left_as_it_is(said: list[Message]) -> None:
    assert repair(whole(said)) == tuple(said)


@given(whole_messages(), st.data())
def test_a_lost_result_is_told_and_the_turn_is_kept(said: list[Message], data: st.DataObject) -> None:
    lost = data.draw(st.sampled_from([place for place, m in enumerate(said) if isinstance(m, ToolMessage)] or [-1]))
    if lost < 0:
        return
    result = said[lost]
    assert isinstance(result, ToolMessage)
    repaired = repair(whole([*said[:lost], *said[lost + 1 :]]))
    told = [m for m in repaired if isinstance(m, ToolMessage) and m.tool_call_id == result.tool_call_id and m.is_error]
    assert "lost" in told[-1].content
    assert len(repaired) == len(said)


@pytest.mark.parametrize(
    "said",
    [
        [],
        [UserMessage("Hi")],
        [AssistantMessage("Hello")],
        [AssistantMessage("Hello"), UserMessage("Hi"), AssistantMessage("Hello")],
        [UserMessage("Hi"), AssistantMessage("")],
        [UserMessage("Hi"), AssistantMessage("Let me see.", (ToolCall("a", "double", {}),))],
        [UserMessage("Hi"), AssistantMessage("", (ToolCall("a", "double", {}),)), ToolMessage("a", "double", "8")],
    ],
)
def test_a_turn_without_question_or_answer_is_left_out(said: list[Message]) -> None:
    assert repair(whole(said)) == ()


def test_of_calls_with_the_same_id_the_first_is_kept_with_the_first_result() -> None:
    first, second = ToolCall("a", "double", {"number": 1}), ToolCall("a", "double", {"number": 2})
    said: list[Message] = [
        UserMessage("Hi"),
        AssistantMessage("", (first, second)),
        ToolMessage("a", "double", "2"),
        ToolMessage("a", "double", "4"),
        AssistantMessage("2 and 4"),
    ]
    assert repair(whole(said)) == (said[0], AssistantMessage("", (first,)), said[2], said[4])


@given(st.lists(turns | damaged_turns() | whole_messages().map(whole), max_size=6), st.integers(0, 300))
def test_trimming_keeps_the_last_whole_turns_that_fit(history: list[Turn], budget: int) -> None:
    kept = trim(history, budget)
    assert estimate_tokens(kept) <= budget
    suffixes = [
        [message for turn in history[start:] for message in repair(turn)] for start in range(len(history), -1, -1)
    ]
    fitting = [suffix for suffix in suffixes if estimate_tokens(suffix) <= budget]
    assert kept == max(fitting, key=len)
    if kept:
        assert_acceptable(kept)


@given(st.lists(whole_messages().map(whole), max_size=4), st.integers(0, 300))
def test_what_is_kept_never_takes_more_than_was_reserved_for_it(history: list[Turn], budget: int) -> None:
    nothing = most_input_tokens("", [], 0)
    assert most_input_tokens("", trim(history, budget), 0) - nothing <= most_history_tokens(budget)


@given(messages, users | assistants | results)
def test_another_message_takes_more_tokens(said: list[Message], more: Message) -> None:
    assert estimate_tokens([*said, more]) > estimate_tokens(said)


@given(texts, texts)
def test_a_longer_message_takes_no_fewer_tokens(text: str, more: str) -> None:
    assert estimate_tokens([UserMessage(text + more)]) >= estimate_tokens([UserMessage(text)])


@given(messages)
def test_the_order_of_messages_does_not_matter_to_the_estimate(said: list[Message]) -> None:
    assert estimate_tokens(said) == sum(estimate_tokens([message]) for message in said) == estimate_tokens(said[::-1])


def test_a_token_is_about_four_bytes() -> None:
    assert estimate_tokens([]) == 0
    assert estimate_tokens([UserMessage("x" * 400)]) == 104
    assert estimate_tokens([UserMessage("ü" * 400)]) == 204
    assert estimate_tokens([UserMessage("\ud800")]) == 5
