"""Which tier answers a question, as far as rules can tell."""

from collections.abc import Callable, Sequence
from typing import Literal, get_args

from msgspec import Struct

from app.models.tiers import Tier, TierModel, at_least, rank

Rule = Literal[
    "smalltalk", "fact", "arithmetic", "form", "look_up", "everyday", "text", "code", "maths", "reasoning",
    "constraints", "questions", "length", "unknown",
]  # fmt: skip
"""What told. Fixed words: they are labels of metrics."""

Reason = Rule | Literal["only", "window", "session", "classifier", "unsure"]
"""Why a tier was chosen: a rule, or what stands above the rules. Fixed words."""

REASONS: tuple[Reason, ...] = tuple(word for kind in get_args(Reason) for word in get_args(kind))


class Judgement(Struct, frozen=True):
    """The tier that a question needs; None: the rules cannot tell."""

    tier: Tier | None
    rule: Rule


Judge = Callable[[str], Judgement]
"""Rules for a text."""


class Question(Struct, frozen=True):
    """What is known of a run before its model is chosen."""

    text: str
    input_tokens: int = 0
    """That the model will read: history, system prompt and tools included. An estimate."""
    tools: bool = False
    """Whether the run has tools."""
    earlier: Tier | None = None
    """The session's tier so far: it never falls."""


class Decision(Struct, frozen=True):
    tier: Tier
    ref: str
    reason: Reason


class Unsure(Struct, frozen=True):
    """The rules cannot tell."""

    tiers: tuple[TierModel, ...]
    """That fit, from the weakest that the session allows to the strongest."""

    def decided(self, tier: Tier, reason: Reason) -> Decision:
        model = at_least(tier, self.tiers)
        return Decision(model.tier, model.ref, reason)


def decide(question: Question, tiers: Sequence[TierModel], judge: Judge) -> Decision | Unsure:
    """By window and abilities, then by the session, then by rules. `tiers` from the weakest to the strongest, not
    empty."""
    fitting = _fitting(question, tiers)
    allowed = tuple(model for model in fitting if rank(model.tier) >= rank(question.earlier)) or fitting[-1:]
    first = allowed[0]
    if len(allowed) == 1:
        reason: Reason = "only" if len(tiers) == 1 else "window" if len(fitting) == 1 else "session"
        return Decision(first.tier, first.ref, reason)
    judgement = judge(question.text)
    unsure = Unsure(allowed)
    if judgement.tier is None:
        return unsure
    if rank(judgement.tier) < rank(question.earlier):
        return Decision(first.tier, first.ref, "session")
    return unsure.decided(judgement.tier, judgement.rule)


def _fitting(question: Question, tiers: Sequence[TierModel]) -> tuple[TierModel, ...]:
    """Those with tools if the run has some, and with room for a third more than is estimated; if there are none, the
    one with the largest window."""
    able = [model for model in tiers if model.tools or not question.tools] or [*tiers]
    needed = question.input_tokens * 4 // 3
    fitting = tuple(model for model in able if model.context_window is None or model.context_window > needed)
    return fitting or (max(able, key=lambda model: model.context_window or 0),)
