"""A run is a list of facts: they can be written down, and a run goes on from any of them to the same end."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.definition import APPROVED, RunLimits
from app.messages import AssistantMessage, ToolCall, ToolMessage, Usage, UserMessage
from app.models.prices import FREE
from app.models.protocol import Completion
from app.runs.context import Candidate, RunContext
from app.runs.events import ToolCallRecord
from app.runs.loop import loop
from app.runs.permits import Permits
from app.runs.plan import CallModel, Costs, Fail, Finish, Reserve, TakeCalls, next_action
from app.runs.ration import Left
from app.runs.state import RunState, after, state_of
from app.runs.steps import (
    Asked,
    Attempted,
    Ended,
    ModelAnswered,
    ModelAsked,
    Step,
    Switched,
    ToolAnswered,
    ToolsCalled,
)
from app.tools import tool
from app.tools.registry import Registry
from tests.doubles import Script, ScriptedModel, answers, asks_for, resilient
from tests.runs.rehearsal import Rehearsal


@tool(trusted=True)
async def double(number: int = 21) -> int:
    """Twice the number."""
    return 2 * number


def call(call_id: str, number: int = 4) -> ToolCall:
    return ToolCall(call_id, "double", {"number": number})


SCRIPTS: tuple[Script, ...] = (
    asks_for(call("a"), call("b", 5), text="Let me see."),
    [Completion("stop", Usage(3, 0))],  # says nothing, and is asked once more
    answers("8 and ", "10"),
)


async def goes_on(model: ScriptedModel, *steps: Step) -> RunContext:
    """The run whose steps so far these are, when it has come to its end."""
    run = Rehearsal(model, [double])
    run.context = run.prepared(state_of(steps))
    await loop(run.context)
    return run.context


def stripped(state: RunState) -> RunState:
    """Without the times that calls took."""
    records = tuple([msgspec.structs.replace(record, latency_ms=0.0) for record in state.tool_calls])
    return msgspec.structs.replace(state, tool_calls=records)


async def whole() -> tuple[list[Step], RunState]:
    asked = Asked((UserMessage("2 * 4, 2 * 5?"),))
    run = await goes_on(ScriptedModel(*SCRIPTS), asked)
    return [asked, *run.steps], run.state


async def test_a_run_can_be_written_down_and_read_again() -> None:
    steps, state = await whole()
    assert {type(step) for step in steps} == {
        Asked,
        Attempted,
        Ended,
        ModelAnswered,
        ModelAsked,
        ToolAnswered,
        ToolsCalled,
    }
    written = msgspec.json.encode(steps)
    assert state_of(msgspec.json.decode(written, type=list[Step])) == state
    assert (state.text, state.finish_reason, state.iterations) == ("8 and 10", "stop", 3)


@pytest.mark.parametrize("at", range(1, 14))
async def test_a_run_that_goes_on_elsewhere_comes_to_the_same_end(at: int) -> None:
    """Another process has the steps so far and nothing else: no model call that was answered is made twice."""
    steps, state = await whole()
    until = steps[:at]
    answered = sum(isinstance(step, ModelAnswered) for step in until)
    begun = sum(isinstance(step, ModelAsked) for step in until)
    if begun > answered:
        return  # a call that was cut is an iteration of its own: what a resumption makes of it is the worker's to say
    model = ScriptedModel(*SCRIPTS[answered:] or SCRIPTS[-1:])
    resumed = await goes_on(model, *until)
    assert stripped(resumed.state) == stripped(state)
    assert len(model.requests) == len(SCRIPTS) - answered


@given(st.permutations(["a", "b", "c"]))
def test_results_stand_in_the_order_of_their_calls(order: list[str]) -> None:
    calls = tuple(ToolCall(name, "double", {}) for name in "abc")
    state = after(RunState(), ToolsCalled(AssistantMessage("", calls)))
    for name in order:
        record = ToolCallRecord("double", {}, "ok", 1.0)
        state = after(state, ToolAnswered(ToolMessage(name, "double", name), record))
    assert [message.tool_call_id for message in state.messages[1:] if isinstance(message, ToolMessage)] == [
        "a",
        "b",
        "c",
    ]
    assert state.waiting == ()


tokens = st.integers(0, 5_000)
texts = st.sampled_from(["", " ", "Hello"])
tool_calls = st.sampled_from([(), (call("a"),), (call("a"), call("b"))])
stops = st.sampled_from(["stop", "max_tokens", "tool_calls", "refusal", "content_filter"])


@given(
    state=st.builds(
        RunState,
        conversation=st.just((UserMessage("Hello"),)),
        reply=st.none() | st.builds(ModelAnswered, texts, tool_calls, stops),
        usage=st.builds(Usage, tokens, tokens),
        iterations=st.integers(0, 5),
        last=st.booleans(),
        insisted=st.booleans(),
    ),
    left=st.builds(Left, tokens, st.just(10**9), tokens, st.just(10**9), st.booleans(), st.none(), asked=st.booleans()),
    limits=st.builds(RunLimits, st.integers(1, 5), st.integers(1, 5_000), st.just(10**6), st.just(1.0), tokens),
)
def test_what_is_next_keeps_the_bounds_whatever_the_run_has_come_to(
    state: RunState, left: Left, limits: RunLimits
) -> None:
    costs = Costs(FREE, "Be brief.", 100)
    permits = Permits("a-run", Registry(), APPROVED, "approve", pauses=False)
    action = next_action(state, limits, left, costs, permits)
    assert action == next_action(state, limits, left, costs, permits) or isinstance(action, Fail)
    match action:
        case CallModel():
            assert 1 <= action.answer <= limits.max_tokens
            assert 0 <= action.reasoning <= limits.max_reasoning_tokens
            assert action.answer + action.reasoning <= left.tokens
        case Reserve(growth):
            assert not left.asked
            assert not left.whole
            assert growth.least <= growth.wanted <= (left.most_tokens, left.most_nanos)
        case TakeCalls(calls):
            assert calls
            assert state.reply is not None
        case Finish(reason):
            assert reason != "stop" or (state.reply is not None and state.reply.text.strip())


async def test_a_run_that_has_switched_goes_on_elsewhere_with_the_model_it_has_switched_to() -> None:
    failed, spare = ScriptedModel(name="failed"), ScriptedModel(answers("me there was."), name="spare")
    run = Rehearsal(failed)
    steps = [
        Asked((UserMessage("A tale"),)),
        ModelAsked(last=False, bound="max_tokens"),
        Attempted(failed.ref, Usage(4, 2), 0, uncertain=True),
        Switched(failed.ref, spare.ref, "cut_stream", 1, "Once upon a ti"),
    ]
    context = run.context = run.prepared(state_of(msgspec.json.decode(msgspec.json.encode(steps), type=list[Step])))
    context.candidates += (Candidate(resilient(spare), context.limits),)
    await loop(context)
    assert (context.state.text, context.model.ref, failed.requests) == ("Once upon a time there was.", spare.ref, [])
    assert (context.state.iterations, context.state.attempts) == (1, 2)
