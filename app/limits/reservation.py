"""What one run asks of its limits, holds, and gives back: what is sent to the scripts, and what they reply."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Any

from app.errors import AppError, LimitsUnavailable
from app.limits.allowance import Allowance, Amount, Growth
from app.limits.budgets import NANOS, WARN_AT, Budget, BudgetScope
from app.limits.tiers import Rules
from app.limits.wire import Headroom, Places, count_refusal, growth_text, keys, refusal, terms_text
from app.messages import Usage
from app.state.store import Argument

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
        "refusal",
        "rules",
        "run",
        "terms",
        "tight",
        "user",
    )

    def __init__(
        self,
        run: str,
        user: str,
        places: Places,
        operation: str,
        rules: Rules,
        budgets: list[tuple[Budget, str]],
        first: Growth,
        most: Amount,
        terms: Terms,
    ) -> None:
        self.run = run
        self.user = user
        self.rules = rules
        self.budgets = tuple([budget for budget, _ in budgets])
        self.budget_keys = [key for _, key in budgets]
        self.allowance = Allowance(first.wanted if budgets else most, most)
        self._least = first.least
        self.terms = terms
        self.tight = False  # a budget had less than was wanted
        self.refusal: AppError | None = None  # of the last growth; not counted
        self.periods: list[str] = []  # of the budgets; empty until admitted
        self.expires_at = 0.0  # time.monotonic() from which on others may have been given what this holds
        self.degraded = False
        self.over = False
        self.done = False  # over, and nothing is left to settle
        self._rate_keys = keys("rate", rules.rates, places, operation)
        self._running_keys = keys("running", rules.concurrent, places, operation)
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
        text = terms_text(self.terms.lease_ms, self.rules.rates, self.rules.concurrent, self.budgets)
        places = (*self._rate_keys, *self._running_keys, *self.budget_keys)
        return places, (self.run, "admit", text, self.allowance.tokens, self.allowance.nanos, *self._least)

    def renewal(self) -> Call:
        text = terms_text(self.terms.lease_ms, (), self.rules.concurrent, self.budgets)
        left = (self.allowance.tokens, self.allowance.nanos)
        places = (*self._running_keys, *self.budget_keys, f"mark:{self.run}")
        return places, (self.run, "renew", text, *left, *left, *self.periods)

    def admitted(self, reply: Any, sent_at: float) -> Mapping[str, str]:
        """Headers that tell the caller where they stand.

        Raises RateLimited, BudgetExceeded, and LimitsUnavailable where no answer means no.
        """
        if isinstance(reply, Exception):
            if self.closed:
                raise LimitsUnavailable from reply
            self.degraded = True
            self.allowance.release()
            return {}
        if reply[0] == 0:
            self.done = True
            refused = refusal(self.rules, self.budgets, reply)
            count_refusal(refused)
            raise refused
        self.expires_at = sent_at + self.terms.lease_seconds
        if self.budgets:
            self._hold(reply[1], reply[2], (self.allowance.tokens, self.allowance.nanos))
        headers = Headroom(self.rules, reply).headers()
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
            return refusal(self.rules, self.budgets, reply)
        self.expires_at = sent_at + self.terms.lease_seconds
        if not self.periods:  # admitted without the store, which is back
            self.periods = [period.decode() for period in reply[3::3]]
        return None

    def record(self, model: str, usage: Usage, cost_usd: float, *, uncertain: bool = False) -> None:
        """A model call's use, to be settled with the next settlement. `uncertain`: nobody counted it."""
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
                usage.total if uncertain else 0,
            )
        )

    @property
    def settles(self) -> bool:
        """Whether there is something to record or to release."""
        return not self.done and (self.holds or bool(self._steps and self.terms.usage_seconds))

    def settlement(self, *, over: bool, growth: Growth | None = None) -> Call | None:
        """None: there is nothing to settle. Can be sent again until `settled` was called.

        With `growth`, the run then holds what its next model call needs, if the budgets have that.
        """
        self.over = self.over or over
        if not self.settles:
            return None
        budget_keys = self.budget_keys
        if self.periods:
            budget_keys = [f"{key}:{period}" for key, period in zip(budget_keys, self.periods, strict=True)]
        args: list[Argument] = [
            self.run,
            0 if self.over else self.terms.lease_ms,
            _MARK_SECONDS if self.over else _STEP_MARK_SECONDS,
            len(self._running_keys),
            len(budget_keys),
            self.terms.usage_seconds,
            self.user,
            "" if growth is None else growth_text(growth, self.budgets),
            *["" if self.periods else budget.period for budget in self.budgets],
        ]
        for step in self._steps:
            args += step
        return (f"mark:{self.run}", *self._running_keys, *budget_keys, "usage"), tuple(args)

    def unanswered(self) -> None:
        """The store did not answer a settlement that asked for more."""
        if self.closed:
            self.refusal = LimitsUnavailable()
        else:
            self.allowance.release()

    def _hold(self, tokens: int, nanos: int, wanted: Amount) -> None:
        self.tight = tokens < wanted[0] or nanos < wanted[1]
        self.allowance.tokens, self.allowance.nanos = tokens, nanos

    def settled(self, reply: Any, growth: Growth | None = None) -> list[tuple[Budget, str, float]]:
        """Budgets that this settlement has brought above the share to warn at: with their keys, and that share."""
        self._recorded += len(self._steps)
        self._steps.clear()
        self.done = self.over
        tokens, nanos, grown = reply[:3]
        if growth is not None and grown:
            self.refusal = None if grown[0] else refusal(self.rules, self.budgets, grown)
            if grown[0]:
                self._hold(grown[1], grown[2], growth.wanted)
        crossed = []
        for place, budget in enumerate(self.budgets):
            spent_tokens, spent_nanos = reply[3 + 2 * place : 5 + 2 * place]
            share = budget.used(spent_tokens, spent_nanos)
            self.terms.saw(budget.scope, share)
            if share >= WARN_AT > budget.used(spent_tokens - tokens, spent_nanos - nanos):
                crossed.append((budget, self.budget_keys[place], share))
        return crossed


def now() -> float:
    """The clock of `expires_at`."""
    return time.monotonic()
