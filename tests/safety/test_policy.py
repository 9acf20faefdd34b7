"""Which calls are made, which a person decides on, and which there are not."""

from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.agents.definition import Approving
from app.safety import policy
from app.safety.policy import ALLOWED, NeedsApproval, Off, RiskFrom, decide, may_ask, policy_of
from app.tools.tool import Effect, Risk, Tool, WhenTainted, tool


@tool
async def act() -> str:
    """Act."""
    return ""


class Asks:
    def check(self, value: Any) -> str | None:
        return None

    def asks(self, value: Any) -> str | None:
        return None


WORDS, EFFECTS, RISKS = get_args(WhenTainted), get_args(Effect), get_args(Risk)
TOOLS = st.builds(
    lambda **fields: replace(act, **fields),
    effect=st.sampled_from(EFFECTS),
    risk=st.sampled_from(RISKS),
    when_tainted=st.none() | st.sampled_from(WORDS),
    trusted=st.booleans(),
)
APPROVING = st.builds(
    Approving, st.sampled_from(get_args(RiskFrom)), st.frozensets(st.sampled_from(["act", "other"])), st.booleans()
)


@pytest.mark.parametrize(
    ("risk", "least", "asks"),
    [
        ("low", "low", True),
        ("low", "medium", False),
        ("medium", "medium", True),
        ("medium", "high", False),
        ("high", "high", True),
        ("high", "medium", True),
        ("high", "never", False),
    ],
)
def test_a_person_decides_from_a_risk_on(risk: Risk, least: RiskFrom, *, asks: bool) -> None:
    decided = decide(replace(act, risk=risk), Approving(least), "allow", tainted=True)
    assert decided == (NeedsApproval("risk", f"The risk of act is {risk}.") if asks else ALLOWED)


def test_a_person_decides_on_what_the_agent_lists_and_on_what_a_rule_asks_about() -> None:
    listed = decide(act, Approving("never", frozenset({"act"})), "approve", tainted=False)
    assert isinstance(listed, NeedsApproval)
    assert listed.reason == "rule"
    assert decide(act, Approving("never"), "approve", tainted=False, asks="too much") == NeedsApproval(
        "rule", "too much"
    )


@pytest.mark.parametrize("agent", WORDS)
@pytest.mark.parametrize("own", [None, *WORDS])
@pytest.mark.parametrize("effect", EFFECTS)
def test_after_untrusted_content_the_tools_word_comes_before_the_agents(
    effect: Effect, own: WhenTainted | None, agent: WhenTainted
) -> None:
    decided = decide(replace(act, effect=effect, when_tainted=own), Approving("never"), agent, tainted=True)
    word = "allow" if effect == "read" else own or agent
    assert {"allow": decided == ALLOWED, "off": isinstance(decided, Off)}.get(
        word, isinstance(decided, NeedsApproval) and decided.reason == "tainted"
    )


@given(TOOLS, APPROVING, st.sampled_from(WORDS))
def test_taint_never_allows_what_was_not_allowed_before(
    made: Tool, approving: Approving, when_tainted: WhenTainted
) -> None:
    clean = decide(made, approving, when_tainted, tainted=False)
    assert clean == ALLOWED or decide(made, approving, when_tainted, tainted=True) != ALLOWED


@given(st.lists(TOOLS, max_size=3), APPROVING, st.sampled_from(WORDS), st.booleans())
def test_a_run_that_cannot_ask_comes_to_no_call_that_a_person_decides_on(
    made: list[Tool], approving: Approving, when_tainted: WhenTainted, tainted: bool
) -> None:
    seen = tainted or any(each.untrusted for each in made)
    asked = [decide(each, approving, when_tainted, tainted=taint) for each in made for taint in {False, seen}]
    assert may_ask(made, approving, when_tainted, tainted=tainted) == any(
        isinstance(each, NeedsApproval) for each in asked
    )


def test_a_rule_that_may_ask_is_one_reason_to_expect_it() -> None:
    asking = replace(act, rules={"value": Asks()}, effect="read")
    assert may_ask([asking], Approving("never"), "allow")
    assert not may_ask([replace(asking, rules={})], Approving("never"), "allow")


def test_the_version_is_another_one_when_a_rule_decides_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    assert policy._hash(policy._table()) == policy.POLICY_VERSION
    monkeypatch.setattr(policy, "_risky", lambda risk, least: risk == least)
    assert policy._hash(policy._table()) != policy.POLICY_VERSION


def test_the_version_of_an_agent_is_that_of_all_that_it_says() -> None:
    approving = Approving("high", frozenset({"b", "a"}))
    versions = {
        policy_of(approving, "approve"),
        policy_of(approving, "off"),
        policy_of(Approving("medium", frozenset({"a", "b"})), "approve"),
        policy_of(Approving("high", frozenset({"a"})), "approve"),
    }
    assert len(versions) == 4
    assert policy_of(Approving("high", frozenset({"a", "b"})), "approve") in versions
