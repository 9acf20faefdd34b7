"""The replies of the limits' scripts: the one place where they are read."""

from math import ceil
from typing import Literal

import msgspec
from msgspec import Struct

from app.errors import AppError, BudgetExceeded, RateLimited
from app.limits.budgets import Budget
from app.limits.checks import Checks


class Refusal(Struct, frozen=True):
    by: Literal["rate", "running", "tokens", "usd"]
    place: int
    """Of the rule or the budget among its kind."""
    wait_ms: int
    resets_ms: int = 0


class RateLeft(Struct, frozen=True):
    left: int
    resets_ms: int


class Spent(Struct, frozen=True):
    """Of a budget."""

    tokens: int
    nanos: int


class Rest(Struct, frozen=True):
    """Of the run's model, as all processes know it. Without a wait, the run's request was counted."""

    wait_ms: int = 0
    reason: str = ""


class Admission(Struct, frozen=True):
    """The reply of admit.lua."""

    refusal: Refusal | None = None
    ended: bool = False
    """Whether a renewal came after the run's end."""
    day: str = ""
    tokens: int = 0
    nanos: int = 0
    rates: tuple[RateLeft, ...] = ()
    running: tuple[int, ...] = ()
    budgets: tuple[Spent, ...] = ()
    rest: Rest | None = None


class Settlement(Struct, frozen=True):
    """The reply of settle.lua."""

    tokens: int = 0
    nanos: int = 0
    """Counted now, as the tokens."""
    shared_tokens: int | None = None
    shared_nanos: int | None = None
    """Counted now in budgets that the caller shares with others, where that is less."""
    budgets: tuple[Spent, ...] = ()
    refusal: Refusal | None = None
    held_tokens: int | None = None
    held_nanos: int | None = None

    def counted_in(self, budget: Budget) -> tuple[int, int]:
        """Tokens and nanos by which the budget has become fuller."""
        if budget.shared and self.shared_tokens is not None and self.shared_nanos is not None:
            return self.shared_tokens, self.shared_nanos
        return self.tokens, self.nanos


class BudgetState(Struct, frozen=True):
    """Of a budget, in the reply of peek.lua."""

    period: str
    ends_in: int
    tokens: int
    nanos: int
    reserved_tokens: int
    reserved_nanos: int


read_admission = msgspec.json.Decoder(Admission, strict=False).decode
read_settlement = msgspec.json.Decoder(Settlement, strict=False).decode
read_budgets = msgspec.json.Decoder(list[BudgetState], strict=False).decode


def refused(refusal: Refusal, checks: Checks) -> AppError:
    """The error of a refusal. `count_refusal` is for when it reaches its caller."""
    wait = ceil(refusal.wait_ms / 1000)
    if refusal.by == "rate" or refusal.by == "running":
        rules = checks.rules
        rule = (rules.rates if refusal.by == "rate" else rules.concurrent)[refusal.place]
        return RateLimited(rule.policy, wait, policies=rules.policies, shown=rule.shown, scope=rule.scope)
    budget = checks.budgets[refusal.place]
    resets_in = ceil(refusal.resets_ms / 1000)
    return BudgetExceeded(
        budget.scope, budget.period, refusal.by, retry_after=wait, resets_in=resets_in, shared=budget.share
    )
