"""What becomes of a model's calls: those that need nobody are made first, others wait for a person each."""

from collections import Counter
from dataclasses import replace
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace as with_fields

from app.agents.definition import Approving, RunLimits
from app.messages import AssistantMessage, ToolCall, ToolMessage, UserMessage
from app.models.prices import FREE
from app.runs.events import ToolCallRecord
from app.runs.permits import Permits
from app.runs.plan import AskApproval, CallTools, Costs, Pause, next_action
from app.runs.ration import Left
from app.runs.state import RunState, after, state_of
from app.runs.steps import (
    ApprovalAsked,
    ApprovalGiven,
    Asked,
    AskedCall,
    NotBegun,
    Step,
    ToolAnswered,
    ToolBegun,
    ToolsCalled,
)
from app.safety.binding import binding_of
from app.tools import tool
from app.tools.registry import Registry
from app.tools.tool import Tool

Decided = Literal["approve", "deny"]


@tool(pure=True)
async def look(thing: str = "") -> str:
    """Look."""
    return ""


@tool(trusted=True)
async def send(to: str = "") -> str:
    """Send."""
    return ""


@tool(risk="high", trusted=True)
async def pay(amount: int = 0) -> str:
    """Pay."""
    return ""


@tool(effect="read")
async def browse() -> str:
    """Browse."""
    return ""


TOOLS = (look, send, pay, browse)
LEFT = Left(10**6, 10**9, 10**6, 10**9, tight=False, refusal=None, asked=False)
LIMITS, COSTS = RunLimits(5, 1000, 10**6, 1.0), Costs(FREE, "", 0)


def permits(*tools: Tool, pauses: bool = True, **approving: Any) -> Permits:
    return Permits("run", Registry(tools or TOOLS), Approving(**approving), "approve", pauses)


def call(name: str, call_id: str = "", **arguments: Any) -> ToolCall:
    return ToolCall(call_id or name, name, arguments)


class Rehearsal:
    """A run's steps, as the loop would make them, with people who decide."""

    def __init__(self, *calls: ToolCall, permits: Permits, tainted: bool = False) -> None:
        self.permits = permits
        self.steps: list[Step] = [Asked((UserMessage("hi"),), tainted), ToolsCalled(AssistantMessage("", calls))]
        self.made: list[str] = []
        self.asked: list[AskedCall] = []
        self.said: dict[str, str] = {}

    @property
    def state(self) -> RunState:
        return state_of(self.steps)

    def next(self) -> Any:
        return next_action(self.state, LIMITS, LEFT, COSTS, self.permits)

    def ask(self, action: AskApproval) -> None:
        asked: list[AskedCall] = []
        for one in action.asks:
            id_ = f"approval-{len(self.asked) + len(asked)}"
            binding = binding_of("run", one.call.id, one.definition, one.call.arguments, one.policy, 9.0)
            asked.append(
                AskedCall(
                    id_,
                    one.call.id,
                    one.call.name,
                    one.risk,
                    one.reason,
                    one.detail,
                    one.definition,
                    one.policy,
                    9.0,
                    binding,
                    "",
                )
            )
        self.asked += asked
        self.steps.append(ApprovalAsked(tuple(asked)))

    def begin(self, action: CallTools) -> None:
        for each in action.calls:
            made = self.permits.tools.get(each.name)
            if each.id in action.not_made or made is None:
                continue
            if each.id in action.approved or made.effect != "read":
                self.steps.append(ToolBegun(each.id, action.approved.get(each.id, "")))

    def call(self, action: CallTools) -> None:
        for each in action.calls:
            made, instead = self.permits.tools.get(each.name), action.not_made.get(each.id)
            if instead is None:
                self.made.append(each.id)
            self.said[each.id] = "made" if instead is None else instead.content
            record = ToolCallRecord(each.name, each.arguments, "ok", 1.0)
            untrusted = instead is None and made is not None and made.untrusted
            self.steps.append(ToolAnswered(ToolMessage(each.id, each.name, ""), record, untrusted=untrusted))

    def decide(self, decision: Decided, comment: str = "") -> None:
        for one in self.state.undecided:
            self.steps.append(ApprovalGiven(one.approval_id, decision, "bob", comment))

    def goes(self, *decisions: Decided) -> list[str]:
        """The kinds of its actions, until no call waits; people decide so at each pause in turn."""
        kinds, said = [], list(decisions)
        while self.state.waiting:
            action = self.next()
            kinds.append(type(action).__name__)
            match action:
                case CallTools():
                    self.begin(action)
                    self.call(action)
                case AskApproval():
                    self.ask(action)
                case Pause():
                    assert self.state.paused
                    self.decide(said.pop(0))
        return kinds


def test_calls_that_need_nobody_are_made_before_anybody_is_asked() -> None:
    run = Rehearsal(call("pay"), call("look"), call("send"), permits=permits())
    assert run.goes("approve") == ["CallTools", "AskApproval", "Pause", "CallTools"]
    assert run.made == ["look", "send", "pay"]
    assert [one.reason for one in run.asked] == ["risk"]


def test_what_a_call_of_the_batch_returns_does_not_concern_the_others_of_it() -> None:
    """The model has asked for them before it could read that."""
    run = Rehearsal(call("browse"), call("send"), permits=permits())
    assert run.goes() == ["CallTools"]
    assert run.state.tainted


def test_after_untrusted_content_a_person_decides_on_effects_but_not_on_reading() -> None:
    run = Rehearsal(call("browse"), call("send"), permits=permits(), tainted=True)
    assert run.goes("approve") == ["CallTools", "AskApproval", "Pause", "CallTools"]
    assert [one.reason for one in run.asked] == ["tainted"]


def test_a_denied_call_is_not_made_and_the_model_is_told_why() -> None:
    run = Rehearsal(call("pay"), call("send"), permits=permits(tools=frozenset({"send"})))
    assert run.next() == AskApproval(run.next().asks)
    run.ask(run.next())
    first, second = run.state.undecided
    run.steps.append(ApprovalGiven(first.approval_id, "deny", "bob", "too much"))
    assert not run.state.paused
    run.steps.append(ApprovalGiven(second.approval_id, "approve", "bob"))
    assert run.goes() == ["CallTools"]
    assert run.made == ["send"]
    assert run.said["pay"] == "A person has denied this call: too much"


def test_arguments_that_the_tool_does_not_take_are_told_to_the_model_and_nobody_is_asked() -> None:
    run = Rehearsal(call("pay", amount="much"), permits=permits())
    assert run.goes() == ["CallTools"]
    assert run.made == []
    assert "Invalid arguments for pay" in run.said["pay"]


def test_a_run_that_cannot_wait_is_told_that_the_call_was_not_made() -> None:
    run = Rehearsal(call("pay"), call("look"), permits=permits(pauses=False))
    assert run.goes() == ["CallTools"]
    assert run.made == ["look"]
    assert "this run cannot wait" in run.said["pay"]


def test_a_tool_that_is_off_after_untrusted_content_is_not_called() -> None:
    run = Rehearsal(call("send"), permits=permits(replace(send, when_tainted="off")), tainted=True)
    assert run.goes() == ["CallTools"]
    assert run.made == []
    assert "is off" in run.said["send"]


@pytest.mark.parametrize(
    "changed", [replace(pay, description="Pay everything."), replace(pay, risk="medium"), replace(pay, effect="read")]
)
def test_a_tool_that_has_changed_since_is_asked_about_anew(changed: Tool) -> None:
    run = Rehearsal(call("pay"), permits=permits(risk="medium"))
    run.ask(run.next())
    run.decide("approve")
    run.permits = permits(changed, risk="medium")
    action = run.next()
    assert isinstance(action, AskApproval)
    assert run.goes("approve") == ["AskApproval", "Pause", "CallTools"]
    assert [one.binding == run.asked[0].binding for one in run.asked] == [True, False]


def test_a_policy_that_has_changed_since_decides_anew() -> None:
    run = Rehearsal(call("pay"), permits=permits())
    run.ask(run.next())
    run.decide("approve")
    run.permits = permits(tools=frozenset({"pay"}))
    action = run.next()
    assert isinstance(action, AskApproval)
    assert action.asks[0].reason == "rule"
    run.permits = permits(risk="never")
    assert run.next() == CallTools((call("pay"),)), "nobody has to be asked any more"


def test_arguments_that_have_changed_since_are_asked_about_anew() -> None:
    run = Rehearsal(call("pay", amount=7), permits=permits())
    run.ask(run.next())
    run.decide("approve")
    run.steps[1] = ToolsCalled(AssistantMessage("", (call("pay", amount=7_000),)))
    assert isinstance(run.next(), AskApproval)


def test_what_was_denied_stays_so_whatever_has_changed() -> None:
    run = Rehearsal(call("pay"), permits=permits())
    run.ask(run.next())
    run.decide("deny")
    run.permits = permits(replace(pay, description="Pay everything."))
    assert run.goes() == ["CallTools"]
    assert run.made == []


def begun_and_cut(*, approved: bool) -> Rehearsal:
    """Its process has died after it has begun the call."""
    name = "pay" if approved else "send"
    run = Rehearsal(call(name), permits=permits())
    if approved:
        run.ask(run.next())
        run.decide("approve")
    action = run.next()
    assert isinstance(action, CallTools)
    run.begin(action)
    return run


@pytest.mark.parametrize("approved", [True, False])
def test_a_call_whose_outcome_is_unknown_goes_to_a_person(*, approved: bool) -> None:
    run = begun_and_cut(approved=approved)
    assert run.goes("approve") == ["AskApproval", "Pause", "CallTools"]
    assert run.asked[-1].reason == "unknown_outcome"
    assert len(run.made) == 1, "it is made again"

    run = begun_and_cut(approved=approved)
    assert run.goes("deny") == ["AskApproval", "Pause", "CallTools"]
    assert run.made == []
    assert "outcome of this call is unknown" in next(iter(run.said.values()))


def test_each_death_of_a_process_is_asked_about() -> None:
    run = begun_and_cut(approved=True)
    for _ in range(3):
        action = run.next()
        assert isinstance(action, AskApproval)
        run.ask(action)
        run.decide("approve")
        action = run.next()
        assert isinstance(action, CallTools)
        run.begin(action)
    assert isinstance(run.next(), AskApproval)
    assert [one.reason for one in run.asked] == ["risk", *["unknown_outcome"] * 3]


@pytest.mark.parametrize("effect", ["read", "idempotent"])
def test_what_may_be_made_twice_is_made_again_with_the_approval_that_was_used_up(effect: Any) -> None:
    run = Rehearsal(call("pay"), permits=permits(replace(pay, effect=effect)))
    run.ask(run.next())
    run.decide("approve")
    run.begin(run.next())
    again = run.next()
    assert (again.calls, again.approved) == ((call("pay"),), {})


def test_calls_that_were_not_begun_after_all_are_as_before() -> None:
    run = Rehearsal(call("pay"), call("pay", "other"), permits=permits())
    run.ask(run.next())
    run.decide("approve")
    before, action = run.state, run.next()
    run.begin(action)
    run.steps.append(NotBegun(("pay", "other")))
    assert run.state == before
    run.begin(action)
    run.steps.append(NotBegun(("pay", "other"), lapsed=("other",)))
    assert run.goes("approve") == ["CallTools", "AskApproval", "Pause", "CallTools"]
    assert [one.call_id for one in run.asked] == ["pay", "other", "other"]


NAMES = st.lists(st.sampled_from([made.name for made in TOOLS] + ["unknown"]), min_size=1, max_size=4)
APPROVING = st.fixed_dictionaries(
    {"risk": st.sampled_from(["low", "high", "never"]), "tools": st.frozensets(st.sampled_from(["send", "look"]))}
)


@given(
    NAMES, APPROVING, st.lists(st.sampled_from(["approve", "deny"]), min_size=9, max_size=9), st.booleans(), st.data()
)
def test_whatever_people_decide_each_call_is_answered_and_made_only_as_they_have_said(
    names: list[str], approving: dict[str, Any], decisions: list[Decided], tainted: bool, data: st.DataObject
) -> None:
    calls = [call(name, f"call-{at}") for at, name in enumerate(names)]
    run = Rehearsal(*calls, permits=permits(**approving), tainted=tainted)
    kinds = run.goes(*decisions)
    assert kinds.count("AskApproval") <= 1
    assert sorted(run.said) == [each.id for each in calls], "each is answered, once"
    assert Counter(run.made).most_common(1)[0][1] == 1 if run.made else True
    given = {step.approval_id: step.decision for step in run.steps if isinstance(step, ApprovalGiven)}
    for one in run.asked:
        assert (one.call_id in run.made) == (given[one.approval_id] == "approve")
    consumed = [step.approval_id for step in run.steps if isinstance(step, ToolBegun) and step.approval_id]
    assert sorted(consumed) == sorted(id_ for id_, decision in given.items() if decision == "approve")
    assert (run.state.begun, run.state.approvals) == ((), ())

    # Another process has the steps so far and nothing else, and does the same.
    at = data.draw(st.integers(2, len(run.steps)))
    until = msgspec.json.decode(msgspec.json.encode(run.steps[:at]), type=list[Step])
    state = state_of(until)
    assert state == state_of(run.steps[:at])
    action = next_action(state, LIMITS, LEFT, COSTS, run.permits) if state.waiting else None
    if isinstance(action, CallTools):
        undecided = {one.call_id for one in state.undecided}
        assert not undecided & {each.id for each in action.calls}


@given(st.data())
def test_a_decision_concerns_its_own_call_alone(data: st.DataObject) -> None:
    count = data.draw(st.integers(2, 4))
    run = Rehearsal(*[call("pay", f"call-{at}", amount=at) for at in range(count)], permits=permits())
    run.ask(run.next())
    chosen = data.draw(st.sampled_from(run.state.undecided))
    state = after(run.state, ApprovalGiven(chosen.approval_id, "approve", "bob"))
    action = next_action(state, LIMITS, LEFT, COSTS, run.permits)
    assert action == CallTools(
        tuple(each for each in state.waiting if each.id == chosen.call_id),
        approved={chosen.call_id: chosen.approval_id},
    )
    other = with_fields(chosen, approval_id="another")
    assert after(run.state, ApprovalGiven(other.approval_id, "approve", "bob")) == run.state
