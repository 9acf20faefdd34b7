"""What a model is given of a session: whole turns, as many as fit, each such that every provider accepts it."""

import itertools
from collections.abc import Sequence

import msgspec
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage, Turn, UserMessage
from app.models.estimates import estimated_message_tokens
from app.runs.estimates import most_history_tokens, most_input_tokens
from app.runs.history import trim
from app.runs.repair import UNANSWERED, repair
from tests.runs.acceptable import assert_acceptable

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
filled = texts.filter(str.strip)
ids = st.sampled_from("abc")
arguments = st.dictionaries(texts, st.integers() | texts | st.floats(allow_nan=False) | st.none(), max_size=3)
calls = st.builds(ToolCall, ids, st.just("double"), arguments, texts)
results = st.builds(ToolMessage, ids, st.just("double"), texts, st.booleans())
users = st.builds(UserMessage, texts)
extras = st.none() | st.builds(Extras, st.sampled_from("mn"), st.dictionaries(texts, texts, max_size=2))
assistants = st.builds(AssistantMessage, texts, st.lists(calls, max_size=3).map(tuple), extras, st.booleans())
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
    return [*said, AssistantMessage(draw(filled))]


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


def asked_and_answered(question: str, answer: str, extras: Extras | None = None) -> Turn:
    return whole([UserMessage(question), AssistantMessage(answer, (), extras)])


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
    [[], [AssistantMessage("Hello")], [AssistantMessage("Hello"), UserMessage("Hi"), AssistantMessage("Hello")]],
)
def test_a_turn_without_a_question_is_left_out(said: list[Message]) -> None:
    assert repair(whole(said)) == ()


ASKED = AssistantMessage("Let me see.", (ToolCall("a", "double", {}),))
RESULT = ToolMessage("a", "double", "8")
LOST = ToolMessage("a", "double", "The result of this call was lost.", is_error=True)
NONE = AssistantMessage(UNANSWERED)


@pytest.mark.parametrize(
    ("said", "repaired"),
    [
        ([], [NONE]),
        ([AssistantMessage("", interrupted=True)], [NONE]),
        ([AssistantMessage(" \n")], [NONE]),
        ([AssistantMessage("Hel", interrupted=True)], [AssistantMessage("Hel")]),
        ([ASKED], [ASKED, LOST, NONE]),
        ([ASKED, RESULT], [ASKED, RESULT, NONE]),
        ([ASKED, RESULT, AssistantMessage("It is", interrupted=True)], [ASKED, RESULT, AssistantMessage("It is")]),
        ([ASKED, AssistantMessage("", interrupted=True)], [ASKED, LOST, NONE]),
        ([UserMessage("Hi?"), AssistantMessage("Yes")], [NONE, UserMessage("Hi?"), AssistantMessage("Yes")]),
    ],
)
def test_a_turn_that_ended_early_is_kept_and_made_whole(said: list[Message], repaired: list[Message]) -> None:
    assert repair(whole([UserMessage("Hi"), *said])) == (UserMessage("Hi"), *repaired)


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


histories = st.lists(turns | damaged_turns() | whole_messages().map(whole), max_size=6)


@given(histories, st.integers(0, 300))
def test_trimming_keeps_the_last_whole_turns_and_as_much_as_was_reserved(history: list[Turn], budget: int) -> None:
    kept, left_out, shortened = trim(history, budget)
    assert estimated_message_tokens(kept) <= budget
    whole_turns = [said for said in map(repair, history) if said]
    assume(len({said[0].content for said in whole_turns}) == len(whole_turns))  # else some may be asked again
    users = [message.content for said in whole_turns for message in said if isinstance(message, UserMessage)]
    if shortened:
        assert left_out
        assert len([message for message in kept if isinstance(message, UserMessage)]) <= len(users)
    else:
        given_users = [message.content for message in kept if isinstance(message, UserMessage)]
        assert given_users == users[len(users) - len(given_users) :]
        assert left_out == (len(given_users) < len(users))
        assert bool(kept) == bool(whole_turns) or budget == 0
    if kept:
        assert_acceptable(kept)
        asked = [call.id for m in kept if isinstance(m, AssistantMessage) for call in m.tool_calls]
        assert len(set(asked)) == len(asked), "no two calls of a conversation share an id"


sessions = st.lists(st.builds(asked_and_answered, filled, filled, extras) | whole_messages().map(whole), max_size=40)


def shared(one: Sequence[Message], other: Sequence[Message]) -> bool:
    return list(other[: len(one)]) == list(one)


@given(sessions, st.integers(100, 1000), st.sampled_from(["m", "n", "o"]))
def test_a_history_only_grows_between_two_cuts(session: list[Turn], budget: int, model: str) -> None:
    session = [turn for turn in session if estimated_message_tokens(turn.messages) * 2 + 100 < budget]
    told = [trim(session[:end], budget, model=model).messages for end in range(len(session) + 1)]
    cuts = [end for end in range(len(session)) if not shared(told[end], told[end + 1])]
    for cut in cuts:
        assert estimated_message_tokens(told[cut + 1]) <= budget // 2
    for cut, after in itertools.pairwise(cuts):
        new = [message for turn in session[cut + 1 : after + 1] for message in turn.messages]
        assert estimated_message_tokens(new) > budget // 2 - 100, "half of it is new"


@given(histories, st.integers(0, 2000))
def test_turns_that_are_small_as_json_need_not_be_measured(history: list[Turn], budget: int) -> None:
    size = sum(len(msgspec.json.encode(turn)) for turn in history)
    assert trim(history, budget, size=size) == trim(history, budget)


@given(whole_messages().map(whole), st.integers(100, 300))
def test_the_newest_turn_is_never_lost(turn: Turn, budget: int) -> None:
    kept = trim([turn], budget).messages
    assert kept
    assert isinstance(kept[0], UserMessage)
    assert_acceptable(kept)


@given(st.lists(whole_messages().map(whole), max_size=4), st.integers(0, 300))
def test_what_is_kept_never_takes_more_than_was_reserved_for_it(history: list[Turn], budget: int) -> None:
    nothing = most_input_tokens("", [], 0)
    assert most_input_tokens("", trim(history, budget).messages, 0) - nothing <= most_history_tokens(budget)


def test_an_answer_as_long_as_the_history_may_be_is_cut_in_the_middle() -> None:
    answer = "begin " + "x" * 16_372 + " end"
    kept, left_out, shortened = trim([asked_and_answered("old", "old"), asked_and_answered("long?", answer)], 4096)
    assert kept[0] == UserMessage("long?")
    assert len(kept) == 2
    assert kept[1].content.startswith("begin xxx")
    assert kept[1].content.endswith("xxx end")
    assert "[… the middle of these 16382 characters is left out …]" in kept[1].content
    assert (left_out, shortened) == (True, True)
    assert 4090 <= estimated_message_tokens(kept) <= 4096


def test_a_turn_whose_calls_alone_are_too_long_is_its_question_and_its_answer() -> None:
    asked = AssistantMessage("", (ToolCall("a", "double", {"text": "x" * 2000}),))
    turn = whole([UserMessage("Hi"), asked, RESULT, AssistantMessage("8")])
    assert trim([turn], 400).messages == [UserMessage("Hi"), AssistantMessage("8")]
    assert trim([turn], 5) == ([], True, True)


REASONED = Extras("m", {"reasoning": "x" * 100})


def test_extras_go_back_to_the_model_that_wrote_them_where_they_fit() -> None:
    turns = [asked_and_answered("a", "b", REASONED), asked_and_answered("c", "d", REASONED)]
    said = [UserMessage("a"), AssistantMessage("b"), UserMessage("c"), AssistantMessage("d")]
    with_extras = AssistantMessage("d", (), REASONED)
    assert trim(turns, 1000, model="m").messages == [said[0], AssistantMessage("b", (), REASONED), said[2], with_extras]
    assert trim(turns, 1000, model="n").messages == said
    assert trim(turns, 60, model="m") == (said, False, False), "they would fill what a cut leaves"
    more = [*turns, asked_and_answered("e", "f", REASONED)]
    full = estimated_message_tokens(trim(more, 1000, model="m").messages)
    last = [UserMessage("e"), AssistantMessage("f", (), REASONED)]
    assert trim(more, full - 1, model="m") == ([*said, *last], False, False), "a cut takes them from what it leaves"


@pytest.mark.parametrize("partial", [(), (AssistantMessage("", interrupted=True),)])
def test_a_question_that_failed_and_was_asked_again_is_told_once(partial: tuple[Message, ...]) -> None:
    failed = Turn("id", 0.0, (UserMessage("Hi"), *partial))
    answered = asked_and_answered("Hi", "Hello")
    assert trim([failed, failed, answered], 1000).messages == list(answered.messages)
    assert trim([failed, failed], 1000, question="Hi").messages == []
    assert trim([failed], 1000, question="Hi?").messages == [UserMessage("Hi"), NONE]
    begun = whole([UserMessage("Hi"), AssistantMessage("Hel", interrupted=True)])
    assert len(trim([begun], 1000, question="Hi").messages) == 2


def test_calls_of_turns_that_went_on_at_once_have_ids_of_their_own() -> None:
    turn = whole([UserMessage("Hi"), ASKED, RESULT, AssistantMessage("8")])
    kept = trim([turn, turn], 1000).messages
    ids = [call.id for m in kept if isinstance(m, AssistantMessage) for call in m.tool_calls]
    results = [m.tool_call_id for m in kept if isinstance(m, ToolMessage)]
    assert ids == results == ["a", "a_2"], "those before stay as they were"


@given(messages, users | assistants | results)
def test_another_message_takes_more_tokens(said: list[Message], more: Message) -> None:
    assert estimated_message_tokens([*said, more]) > estimated_message_tokens(said)


@given(texts, texts)
def test_a_longer_message_takes_no_fewer_tokens(text: str, more: str) -> None:
    assert estimated_message_tokens([UserMessage(text + more)]) >= estimated_message_tokens([UserMessage(text)])


@given(messages)
def test_the_order_of_messages_does_not_matter_to_the_estimate(said: list[Message]) -> None:
    assert (
        estimated_message_tokens(said)
        == sum(estimated_message_tokens([message]) for message in said)
        == estimated_message_tokens(said[::-1])
    )


def test_a_token_is_about_four_bytes() -> None:
    assert estimated_message_tokens([]) == 0
    assert estimated_message_tokens([UserMessage("x" * 400)]) == 104
    assert estimated_message_tokens([UserMessage("ü" * 400)]) == 204
    assert estimated_message_tokens([UserMessage("\ud800")]) == 5
