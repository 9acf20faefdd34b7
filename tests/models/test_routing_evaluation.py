"""200 labelled questions in four languages: who goes to which tier, and what that saves.

Questions and rules are by one hand, the questions first; then the rules were adjusted by what went wrong on the even
lines (counted from 0), and the odd ones are held out. `routing_traps.jsonl` has hard questions that were written after
the rules, the first 80 as people ask, the others to look like easy ones. Before the rules were adjusted to them, 1 of
those 80 went to the cheap tier, then 29 of 74, 9 of 44 and at last 4 of 32.
"""

import json
from collections import Counter
from collections.abc import Sequence

import pytest

from app.models.decisions import Decision, Question, decide
from app.models.routing_rules import build_judge
from app.models.tiers import TierModel
from tests.models.routing_costs import CASES, Case, Outcome, count, evaluate, read, tiers

JUDGE = build_judge()
ALL = read("routing.jsonl")
TUNED, HELD_OUT = ALL[0::2], ALL[1::2]
OPENAI = tiers(simple="openai/gpt-5-nano", medium="openai/gpt-5-mini", complex="openai/gpt-5")
ANTHROPIC = tiers(
    simple="anthropic/claude-haiku-4-5", medium="anthropic/claude-sonnet-4-5", complex="anthropic/claude-opus-4-5"
)
TWO = tiers(simple="openai/gpt-5-nano", complex="openai/gpt-5")


def test_the_questions_are_fifty_in_each_language() -> None:
    assert Counter(case.language for case in ALL) == {"en": 50, "de": 50, "es": 50, "zh": 50}
    assert [count(ALL, tier) for tier in ("simple", "medium", "complex")] == [100, 48, 52]
    assert len({case.text for case in ALL}) == 200


@pytest.mark.parametrize("cases", [TUNED, HELD_OUT, ALL], ids=["tuned", "held out", "all"])
def test_few_hard_ones_go_to_the_cheap_tier_and_a_third_of_the_cost_is_saved(cases: Sequence[Case]) -> None:
    outcome = evaluate(cases, OPENAI, JUDGE)
    assert outcome.hard_to_cheap <= 0.05
    assert outcome.saved >= 0.30


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
def test_no_language_is_left_behind(language: str) -> None:
    outcome = evaluate([case for case in ALL if case.language == language], OPENAI, JUDGE)
    assert outcome.hard_to_cheap <= 0.05
    assert outcome.saved >= 0.30


def test_the_figures_of_the_docs() -> None:
    """docs/models.md has them: change both."""
    rounded = {
        name: [(round(each.hard_to_cheap, 3), round(each.saved, 2)) for each in outcomes]
        for name, outcomes in {
            "openai": _halves(OPENAI),
            "anthropic": _halves(ANTHROPIC),
            "openai without medium": _halves(TWO),
            "openai, and a classifier that never helps": _halves(OPENAI, "openai/gpt-5-nano"),
        }.items()
    }
    assert rounded == {
        "openai": [(0.0, 0.46), (0.0, 0.42)],
        "anthropic": [(0.0, 0.32), (0.0, 0.29)],
        "openai without medium": [(0.0, 0.25), (0.0, 0.21)],
        "openai, and a classifier that never helps": [(0.0, 0.46), (0.0, 0.42)],
    }


def _halves(models: Sequence[TierModel], classifier: str = "") -> list[Outcome]:
    return [evaluate(cases, models, JUDGE, classifier) for cases in (TUNED, HELD_OUT)]


def test_questions_that_the_rules_were_not_adjusted_to() -> None:
    """Written when the rules were done, and asked once; leave the rules alone where one of them goes wrong."""
    cases = read("routing_unseen.jsonl")
    assert [count(cases, tier) for tier in ("simple", "medium", "complex")] == [40, 0, 40]
    assert evaluate(cases, OPENAI, JUDGE).hard_to_cheap <= 0.05
    decided = [decide(Question(case.text), OPENAI, JUDGE) for case in cases if case.tier == "simple"]
    assert sum(isinstance(each, Decision) and each.tier == "simple" for each in decided) >= 30


def test_hard_questions_that_look_easy_seldom_pass_for_that() -> None:
    texts = [json.loads(line)["text"] for line in (CASES / "routing_traps.jsonl").read_text("utf-8").splitlines()]
    decided = [decide(Question(text), OPENAI, JUDGE) for text in texts]
    cheap = [
        text for text, each in zip(texts, decided, strict=True) if isinstance(each, Decision) and each.tier == "simple"
    ]
    assert len(texts) > 200
    assert len(cheap) <= 0.05 * len(texts), cheap
