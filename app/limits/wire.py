"""Limits and budgets as the scripts take them, and the scripts' replies as callers are told of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any, NamedTuple

from app.errors import AppError, BudgetExceeded, RateLimited
from app.limits.allowance import Growth
from app.limits.budgets import Budget
from app.limits.tiers import Rule, Rules
from app.telemetry import metrics


class Places(NamedTuple):
    """What a caller's limits and budgets are kept under; `peer` is empty unless a proxy's word was taken for it."""

    subject: str
    peer: str


@dataclass(frozen=True, slots=True)
class Headroom:
    """What a reply of admit.lua says about rates and runs at once, by the place of its parts."""

    rules: Rules
    reply: Sequence[Any]

    def headers(self) -> dict[str, str]:
        """RateLimit and RateLimit-Policy as in draft-ietf-httpapi-ratelimit-headers-11."""
        if not self.rules.policies:
            return {}
        rates, concurrent = self.rules.rates, self.rules.concurrent
        left = [
            f'"{rule.policy}";r={self.reply[3 + 2 * place]};t={ceil(self.reply[4 + 2 * place] / 1000)}'
            for place, rule in enumerate(rates)
            if rule.shown
        ]
        at = 3 + 2 * len(rates)
        left += [f'"{rule.policy}";r={self.reply[at + place]}' for place, rule in enumerate(concurrent) if rule.shown]
        return {"RateLimit-Policy": self.rules.policies, "RateLimit": ", ".join(left)}


def refusal(rules: Rules, budgets: Sequence[Budget], reply: Sequence[Any]) -> AppError:
    """The error for a reply that begins with 0. `count_refusal` is for when it reaches its caller."""
    kind, place, wait = reply[1].decode(), reply[2] - 1, ceil(reply[3] / 1000)
    if kind in ("rate", "running"):
        rule = (rules.rates if kind == "rate" else rules.concurrent)[place]
        return RateLimited(rule.policy, wait, policies=rules.policies, shown=rule.shown, scope=rule.scope)
    budget = budgets[place]
    resets_in = ceil(reply[4] / 1000)
    return BudgetExceeded(budget.scope, budget.period, kind, retry_after=wait, resets_in=resets_in, shared=budget.share)


def count_refusal(error: AppError) -> None:
    match error:
        case RateLimited():
            metrics.RATE_LIMITED.labels(error.scope).inc()
        case BudgetExceeded():
            metrics.BUDGET_EXCEEDED.labels(error.scope).inc()


def growth_text(growth: Growth, budgets: Sequence[Budget]) -> str:
    """As settle.lua reads it."""
    words: list[object] = [*growth.wanted, *growth.least]
    for budget in budgets:
        words += (budget.period, budget.tokens, budget.nanos)
    return " ".join(map(str, words))


@lru_cache(1024)
def terms_text(
    lease_ms: int, rates: tuple[Rule, ...], concurrent: tuple[Rule, ...], budgets: tuple[Budget, ...]
) -> str:
    """As admit.lua reads them."""
    words: list[object] = [lease_ms, len(rates), len(concurrent), len(budgets)]
    words += [rule.most for rule in (*rates, *concurrent)]
    for budget in budgets:
        words += (budget.period, budget.tokens, budget.nanos)
    return " ".join(map(str, words))


@lru_cache(4096)
def keys(kind: str, rules: tuple[Rule, ...], places: Places, operation: str) -> tuple[str, ...]:
    """Where the rules are counted; `kind` is `rate` or `running`."""
    names = {
        "global": f"{kind}:global",
        "user": f"{kind}:{places.subject}",
        "operation": f"{kind}:{places.subject}:{operation}",
        "peer": f"{kind}:{places.peer}",
        "peer-operation": f"{kind}:{places.peer}:{operation}",
    }
    return tuple([names[rule.scope] for rule in rules])
