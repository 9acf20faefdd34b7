"""What the labelled questions cost: with the model that a decision names, and with the strongest for all."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from app.messages import Usage
from app.models.classifying import CLASSIFIER_TOKENS, classification
from app.models.decisions import Decision, Judge, Question, decide
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.prices import Price, flat_price
from app.models.tiers import Tier, TierModel

CASES = Path(__file__).parent / "cases"
PRICES: Mapping[str, Price] = {
    "openai/gpt-5-nano": flat_price(0.05, 0.40, None, None),
    "openai/gpt-5-mini": flat_price(0.25, 2.00, None, None),
    "openai/gpt-5": flat_price(1.25, 10.00, None, None),
    "anthropic/claude-haiku-4-5": flat_price(1.00, 5.00, None, None),
    "anthropic/claude-sonnet-4-5": flat_price(3.00, 15.00, None, None),
    "anthropic/claude-opus-4-5": flat_price(5.00, 25.00, None, None),
}
"""US dollars a million tokens, of input and of output."""
SYSTEM_TOKENS = 200
ANSWER_TOKENS: Mapping[Tier, int] = {"simple": 150, "medium": 350, "complex": 600}
"""By the label: what is hard takes more words, which makes the saving smaller than with answers of one length."""


@dataclass(frozen=True, slots=True)
class Case:
    text: str
    tier: Tier
    language: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """Of some cases: the share of the hard ones that went to the cheap tier, and the share of the cost saved."""

    hard_to_cheap: float
    saved: float


def read(name: str) -> list[Case]:
    lines = (CASES / name).read_text(encoding="utf-8").splitlines()
    return [Case(**json.loads(line)) for line in lines]


def tiers(**refs: str) -> tuple[TierModel, ...]:
    """`simple`, `medium` and `complex`, in this order."""
    return tuple(TierModel(tier, refs[tier]) for tier in ANSWER_TOKENS if tier in refs)


def evaluate(cases: Sequence[Case], models: Sequence[TierModel], judge: Judge, classifier: str = "") -> Outcome:
    """With a classifier: one that always says `complex`, so that it costs and saves nothing."""
    strongest, cheapest = models[-1], models[0]
    spent = dearest = 0.0
    wrong = 0
    for case in cases:
        decided = decide(Question(case.text), models, judge)
        if isinstance(decided, Decision):
            ref = decided.ref
        else:
            ref = strongest.ref
            spent += _asked(classifier, case) if classifier else 0.0
        wrong += case.tier == "complex" and ref == cheapest.ref
        spent += _cost(ref, case)
        dearest += _cost(strongest.ref, case)
    return Outcome(wrong / sum(case.tier == "complex" for case in cases), 1 - spent / dearest)


def _cost(ref: str, case: Case) -> float:
    read = SYSTEM_TOKENS + estimated_tokens(case.text)
    return PRICES[ref].cost_usd(Usage(read, ANSWER_TOKENS[case.tier]))


def _asked(ref: str, case: Case) -> float:
    return PRICES[ref].cost_usd(Usage(estimated_input_tokens(classification(case.text)), CLASSIFIER_TOKENS))


def count(cases: Iterable[Case], tier: Tier) -> int:
    return sum(case.tier == tier for case in cases)
