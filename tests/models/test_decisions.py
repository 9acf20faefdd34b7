"""Which tier a decision names: rules, the session, windows and tools."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from app.models.decisions import Decision, Question, Unsure, decide
from app.models.routing_rules import build_judge
from app.models.tiers import TIERS, TierModel

JUDGE = build_judge()
SMALL, MIDDLE, LARGE = (TierModel(tier, tier[0]) for tier in TIERS)
THREE = (SMALL, MIDDLE, LARGE)
EASY, ORDINARY = "What's the capital of Peru?", "Write a poem about rain."
HARD, STRANGE = "Prove Fermat's theorem.", "hm"


def choose(text: str, *tiers: TierModel, **known: Any) -> Decision | Unsure:
    return decide(Question(text, **known), tiers or THREE, JUDGE)


def test_rules_choose_the_tier() -> None:
    assert choose(EASY) == Decision("simple", "s", "fact")
    assert choose(ORDINARY) == Decision("medium", "m", "everyday")
    assert choose(HARD) == Decision("complex", "c", "maths")
    assert choose(STRANGE) == Unsure(THREE)


def test_without_a_medium_tier_what_is_medium_goes_to_the_complex_one() -> None:
    assert choose(ORDINARY, SMALL, LARGE) == Decision("complex", "c", "everyday")
    assert choose(HARD, SMALL, MIDDLE) == Decision("medium", "m", "maths")


def test_a_session_never_falls() -> None:
    assert choose(EASY, earlier="medium") == Decision("medium", "m", "session")
    assert choose(EASY, earlier="complex") == Decision("complex", "c", "session")
    assert choose(HARD, earlier="medium") == Decision("complex", "c", "maths")
    assert choose(ORDINARY, earlier="medium") == Decision("medium", "m", "everyday")
    assert choose(STRANGE, earlier="medium") == Unsure((MIDDLE, LARGE))
    assert choose(EASY, SMALL, MIDDLE, earlier="complex") == Decision("medium", "m", "session")


def test_what_does_not_fit_is_not_asked() -> None:
    narrow, wide = TierModel("simple", "s", 1_000), TierModel("complex", "c", 8_000)
    assert choose(EASY, narrow, wide, input_tokens=700) == Decision("simple", "s", "fact")
    assert choose(EASY, narrow, wide, input_tokens=800) == Decision("complex", "c", "window")
    assert choose(EASY, narrow, wide, input_tokens=9_000) == Decision("complex", "c", "window")
    assert choose(HARD, TierModel("simple", "s", 9_000), wide, input_tokens=6_500) == Decision("simple", "s", "window")


def test_a_model_that_is_told_of_no_tools_gets_no_run_with_tools() -> None:
    mute = TierModel("simple", "s", tools=False)
    assert choose(EASY, mute, MIDDLE, LARGE) == Decision("simple", "s", "fact")
    assert choose(EASY, mute, MIDDLE, LARGE, tools=True) == Decision("medium", "m", "fact")
    assert choose(EASY, mute, tools=True) == Decision("simple", "s", "only")


@given(
    st.text(max_size=80) | st.sampled_from([EASY, ORDINARY, HARD, STRANGE]),
    st.sampled_from([None, *TIERS]),
    st.lists(st.sampled_from(THREE), min_size=1, unique=True),
    st.integers(0, 3),
)
def test_a_decision_is_of_a_tier_that_there_is_and_not_below_the_earlier(
    text: str, earlier: Any, tiers: list[TierModel], narrow: int
) -> None:
    some = tuple(sorted(tiers, key=lambda model: TIERS.index(model.tier)))
    decided = choose(text, *some, earlier=earlier, input_tokens=narrow)
    answers = [decided] if isinstance(decided, Decision) else [decided.decided(tier, "classifier") for tier in TIERS]
    for answer in answers:
        assert any((model.tier, model.ref) == (answer.tier, answer.ref) for model in some)
        strongest = some[-1].tier
        assert TIERS.index(answer.tier) >= min(TIERS.index(earlier or "simple"), TIERS.index(strongest))
