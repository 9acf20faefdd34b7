"""What one run asks of its limits, holds, and gives back: what is sent to the scripts, and what they reply."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import ceil
from typing import Any

from app.errors import AppError, BudgetExceeded, LimitsUnavailable, RateLimited
from app.events import Usage
from app.limits.allowance import Allowance
from app.limits.budgets import NANOS, WARN_AT, Budget, BudgetScope
from app.limits.tiers import Rule, Rules
from app.state.store import Argument
from app.telemetry import metrics

Call = tuple[tuple[str, ...], tuple[Argument, ...]]
"""The keys and arguments of a script."""

LIMIT_HEADERS = ("RateLimit", "RateLimit-Policy", "X-Budget-Used")

_MARK_SECONDS = 300  # how long after its end a settlement that is sent again is known to be one
_STEP_MARK_SECONDS = 3600


@dataclass(frozen=True, slots=True, eq=False)
class Terms:
    """What is the same for all claims of a process."""

    lease_seconds: float
    usage_seconds: int
    fail: str | None  # LIMITS_FAIL
    saw: Callable[[BudgetScope, float], None]
    """Told of each used share of a budget that comes by."""

    @property
    def lease_ms(self) -> int:
        return ceil(self.lease_seconds * 1000)


class Claim:
    """One run's. Made by Limiter.claim; `run` is unique."""

    __slots__ = (
        "_least",
        "_rate_keys",
        "_recorded",
        "_running_keys",
        "_steps",
        "allowance",
        "budget_keys",
        "budgets",
        "degraded",
        "done",
        "expires_at",
        "over",
        "periods",
        "rules",
        "run",
        "terms",
        "user",
    )

    def __init__(
        self,
        run: str,
        user: str,
        subject: str,
        operation: str,
        rules: Rules,
        budgets: list[tuple[Budget, str]],
        allowance: Allowance,
        least: tuple[int, int],
        terms: Terms,
    ) -> None:
        self.run = run
        self.user = user
        self.rules = rules
        self.budgets = tuple([budget for budget, _ in budgets])
        self.budget_keys = [key for _, key in budgets]
        self.allowance = allowance
        self._least = least
        self.terms = terms
        self.periods: list[str] = []  # of the budgets; empty until admitted
        self.expires_at = 0.0  # time.monotonic() from which on others may have been given what this holds
        self.degraded = False
        self.over = False
        self.done = False  # over, and nothing is left to settle
        self._rate_keys = _keys("rate", rules.rates, subject, operation)
        self._running_keys = _keys("running", rules.concurrent, subject, operation)
        self._steps: list[tuple[Argument, ...]] = []  # not recorded yet
        self._recorded = 0

    @property
    def holds(self) -> bool:
        """Whether there is something that has to be renewed while the run goes on."""
        return bool(self._running_keys or self.budget_keys)

    @property
    def closed(self) -> bool:
        """Whether the run may not go on when the store does not answer."""
        fail = self.terms.fail or ("closed" if self.budgets else "open")
        return fail == "closed"

    def admission(self) -> Call | None:
        """None: there is nothing to ask."""
        if not (self._rate_keys or self.holds):
            return None
        text = _terms(self.terms, self.rules.rates, self.rules.concurrent, self.budgets)
        keys = (*self._rate_keys, *self._running_keys, *self.budget_keys)
        return keys, (self.run, "admit", text, self.allowance.tokens, self.allowance.nanos, *self._least)

    def renewal(self) -> Call:
        text = _terms(self.terms, (), self.rules.concurrent, self.budgets)
        left = (self.allowance.tokens, self.allowance.nanos)
        keys = (*self._running_keys, *self.budget_keys, f"mark:{self.run}")
        return keys, (self.run, "renew", text, *left, *left, *self.periods)

    def admitted(self, reply: Any, sent_at: float) -> Mapping[str, str]:
        """Headers that tell the caller where they stand.

        Raises RateLimited, BudgetExceeded, and LimitsUnavailable where no answer means no.
        """
        if isinstance(reply, Exception):
            if self.closed:
                raise LimitsUnavailable from reply
            self.degraded = True
            return {}
        if reply[0] == 0:
            self.done = True
            raise self._refusal(reply)
        self.expires_at = sent_at + self.terms.lease_seconds
        if self.budgets:
            self.allowance.tokens, self.allowance.nanos = reply[1:3]
        headers = self._quota_headers(reply)
        warnings = []
        at = 3 + 2 * len(self._rate_keys) + len(self._running_keys)
        for budget in self.budgets:
            period, tokens, nanos = reply[at : at + 3]
            at += 3
            self.periods.append(period.decode())
            share = budget.used(tokens, nanos)
            self.terms.saw(budget.scope, share)
            if share >= WARN_AT:
                warnings.append(f"{budget.scope}={share:.2f}")
        if warnings:
            headers["X-Budget-Used"] = ", ".join(warnings)
        return headers

    def renewed(self, reply: Any, sent_at: float) -> AppError | None:
        """An error if what the run held was given to others in the meantime."""
        if isinstance(reply, Exception):
            return None  # the lease has not ended for that
        if reply[0] == 0:
            return self._refusal(reply)
        self.expires_at = sent_at + self.terms.lease_seconds
        if not self.periods:  # admitted without the store, which is back
            self.periods = [period.decode() for period in reply[3::3]]
        return None

    def record(self, model: str, usage: Usage, cost_usd: float) -> None:
        """A model call's use, to be settled with the next settlement."""
        nanos = round(cost_usd * NANOS)
        self.allowance.spend(usage.total, nanos)
        self._steps.append(
            (
                self._recorded + len(self._steps) + 1,
                model,
                usage.input_tokens,
                usage.output_tokens,
                usage.cache_read_tokens,
                usage.cache_write_tokens,
                nanos,
            )
        )

    @property
    def settles(self) -> bool:
        """Whether there is something to record or to release."""
        return not self.done and (self.holds or bool(self._steps and self.terms.usage_seconds))

    def settlement(self, *, over: bool) -> Call | None:
        """None: there is nothing to settle. Can be sent again until `settled` was called."""
        self.over = self.over or over
        if not self.settles:
            return None
        keys = self.budget_keys
        if self.periods:
            keys = [f"{key}:{period}" for key, period in zip(keys, self.periods, strict=True)]
        args: list[Argument] = [
            self.run,
            0 if self.over else self.terms.lease_ms,
            _MARK_SECONDS if self.over else _STEP_MARK_SECONDS,
            len(self._running_keys),
            len(keys),
            self.terms.usage_seconds,
            self.user,
            *["" if self.periods else budget.period for budget in self.budgets],
        ]
        for step in self._steps:
            args += step
        return (f"mark:{self.run}", *self._running_keys, *keys, "usage"), tuple(args)

    def settled(self, reply: Any) -> list[tuple[Budget, str, float]]:
        """Budgets that this settlement has brought above the share to warn at: with their keys, and that share."""
        self._recorded += len(self._steps)
        self._steps.clear()
        self.done = self.over
        tokens, nanos = reply[:2]
        crossed = []
        for place, budget in enumerate(self.budgets):
            spent_tokens, spent_nanos = reply[2 + 2 * place : 4 + 2 * place]
            share = budget.used(spent_tokens, spent_nanos)
            self.terms.saw(budget.scope, share)
            if share >= WARN_AT > budget.used(spent_tokens - tokens, spent_nanos - nanos):
                crossed.append((budget, self.budget_keys[place], share))
        return crossed

    def _quota_headers(self, reply: list[Any]) -> dict[str, str]:
        """RateLimit and RateLimit-Policy as in draft-ietf-httpapi-ratelimit-headers-11."""
        if not self.rules.policies:
            return {}
        left = [
            f'"{rule.policy}";r={reply[3 + 2 * place]};t={ceil(reply[4 + 2 * place] / 1000)}'
            for place, rule in enumerate(self.rules.rates)
            if rule.scope != "global"
        ]
        at = 3 + 2 * len(self._rate_keys)
        left += [
            f'"{rule.policy}";r={reply[at + place]}'
            for place, rule in enumerate(self.rules.concurrent)
            if rule.scope != "global"
        ]
        return {"RateLimit-Policy": self.rules.policies, "RateLimit": ", ".join(left)}

    def _refusal(self, reply: list[Any]) -> AppError:
        kind, place, wait = reply[1].decode(), reply[2] - 1, ceil(reply[3] / 1000)
        if kind in ("rate", "running"):
            rule = (self.rules.rates if kind == "rate" else self.rules.concurrent)[place]
            metrics.RATE_LIMITED.labels(rule.scope).inc()
            return RateLimited(rule.policy, wait, policies=self.rules.policies, shown=rule.scope != "global")
        budget = self.budgets[place]
        metrics.BUDGET_EXCEEDED.labels(budget.scope).inc()
        resets_in = ceil(reply[4] / 1000)
        return BudgetExceeded(budget.scope, budget.period, kind, retry_after=wait, resets_in=resets_in)


@lru_cache(1024)
def _terms(terms: Terms, rates: tuple[Rule, ...], concurrent: tuple[Rule, ...], budgets: tuple[Budget, ...]) -> str:
    """As admit.lua reads them."""
    words: list[object] = [terms.lease_ms, len(rates), len(concurrent), len(budgets)]
    words += [rule.most for rule in (*rates, *concurrent)]
    for budget in budgets:
        words += (budget.period, budget.tokens, budget.nanos)
    return " ".join(map(str, words))


@lru_cache(4096)
def _keys(kind: str, rules: tuple[Rule, ...], subject: str, operation: str) -> tuple[str, ...]:
    names = {"global": f"{kind}:global", "user": f"{kind}:{subject}", "operation": f"{kind}:{subject}:{operation}"}
    return tuple([names[rule.scope] for rule in rules])


def now() -> float:
    """The clock of `expires_at`."""
    return time.monotonic()
