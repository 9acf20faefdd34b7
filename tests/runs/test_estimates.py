"""The most that a call and a run may come to: never less than what they do come to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.definition import RunLimits
from app.messages import NANOS, AssistantMessage, Message, ToolCall, ToolMessage, Turn, Usage, UserMessage
from app.models.estimates import estimated_input_tokens, estimated_message_tokens
from app.models.prices import FREE, Price, Rates
from app.models.protocol import ModelRequest
from app.runs.estimates import (
    most_history_tokens,
    most_input_tokens,
    most_input_usd,
    most_of_call,
    most_of_run,
    most_tool_tokens,
    usd_per_output_token,
)
from app.runs.history import trim
from app.tools.registry import BUILT_IN
from tests.doubles import CHEAP

LIMITS = RunLimits(max_iterations=10, max_tokens=1_000, max_run_tokens=10_000, max_cost_usd=0.5)
TIERED = Price((Rates(1_000, 6.0, 22.5, 0.6, 7.5), Rates(0, 3.0, 15.0, 0.3, 3.75)))

texts = st.text(max_size=200)
messages = st.lists(
    texts.map(UserMessage) | texts.map(AssistantMessage) | texts.map(lambda text: ToolMessage("1", "t", text)),
    max_size=8,
)


@given(system=texts, conversation=messages)
def test_it_is_never_below_the_bytes_of_what_is_read(system: str, conversation: list[Message]) -> None:
    written = sum(len(message.content.encode()) for message in conversation) + len(system.encode())
    assert most_input_tokens(system, conversation, 0) >= written


@given(conversation=messages)
def test_it_is_never_below_the_estimate(conversation: list[Message]) -> None:
    request = ModelRequest("Be brief.", conversation)
    assert most_input_tokens("Be brief.", conversation, 0) >= estimated_input_tokens(request)


def test_tools_and_their_calls_are_read_too() -> None:
    bare = most_input_tokens("", [UserMessage("hi")], 0)
    assert most_input_tokens("", [UserMessage("hi")], most_tool_tokens(BUILT_IN)) > bare + 1024
    asked = AssistantMessage("", (ToolCall("1", "calculator", {"expression": "6*7" * 100}),))
    assert most_input_tokens("", [UserMessage("hi"), asked], 0) > bare + 300


@given(
    turns=st.lists(st.tuples(texts.filter(str.strip), texts.filter(str.strip)), max_size=6),
    max_tokens=st.integers(0, 300),
)
def test_a_history_that_was_trimmed_is_within_its_bound(turns: list[tuple[str, str]], max_tokens: int) -> None:
    made = [Turn(str(n), 0.0, (UserMessage(said), AssistantMessage(answer))) for n, (said, answer) in enumerate(turns)]
    kept = trim(made, max_tokens).messages
    assert estimated_message_tokens(kept) <= max_tokens
    empty = most_input_tokens("", (), 0)
    assert most_input_tokens("", kept, 0) - empty <= most_history_tokens(max_tokens)


@pytest.mark.parametrize("price", [FREE, CHEAP, TIERED], ids=["free", "cheap", "tiered"])
@given(data=st.data())
def test_no_run_costs_more_than_it_may_at_most(price: Price, data: st.DataObject) -> None:
    tokens, nanos = most_of_run(price, LIMITS)
    assert tokens == LIMITS.max_run_tokens
    left, written, cost = tokens, LIMITS.max_tokens, 0.0
    for _ in range(data.draw(st.integers(1, LIMITS.max_iterations))):
        read = data.draw(st.integers(0, left))
        wrote = data.draw(st.integers(0, min(written, left - read)))
        cached = data.draw(st.integers(0, read))
        kept = data.draw(st.integers(0, read - cached))
        left, written = left - read - wrote, written - wrote
        cost += price.cost_usd(Usage(read, wrote, cached, kept))
    assert round(cost * NANOS) <= nanos + 1  # of rounding


@given(read=st.integers(0, 8_000), share=st.floats(0, 1))
def test_no_first_call_costs_more_than_it_may_at_most(read: int, share: float) -> None:
    tokens, nanos = most_of_call(TIERED, LIMITS, 8_000)
    assert tokens == 9_000
    usage = Usage(read, LIMITS.max_tokens, int(read * share), read - int(read * share))
    assert round(TIERED.cost_usd(usage) * NANOS) <= nanos


def test_the_setting_bounds_what_prices_would_allow() -> None:
    dear = Price((Rates(0, 1000.0, 5000.0, 100.0, 1250.0),))
    assert most_of_run(dear, LIMITS) == (10_000, NANOS // 2)


def test_an_input_is_priced_by_the_dearest_way_to_read_it() -> None:
    assert most_input_usd(CHEAP, 1_000_000) == 1.5
    assert most_input_usd(TIERED, 1_001) == pytest.approx(1_001 * 7.5e-6)
    assert usd_per_output_token(TIERED, 1_001) == pytest.approx(22.5e-6)
    assert usd_per_output_token(TIERED, 1_000) == pytest.approx(15e-6)
