"""How much may be spent: by a user and a team, and by all together, in a UTC day or month."""

from dataclasses import dataclass
from functools import partial
from typing import Literal

from app.access.principal import Principal
from app.messages import NANOS
from app.settings import Settings
from app.telemetry import metrics

WARN_AT = 0.8
"""Used share from which on a budget is worth a warning."""

NO_LIMIT = -1
PEER_SHARES = 3
"""How many shares of the global budget all those may use whose address one peer tells, which could tell any."""

BudgetScope = Literal["user", "peer", "team", "global"]
Period = Literal["day", "month"]


@dataclass(frozen=True, slots=True, eq=False)
class Budget:
    scope: BudgetScope
    period: Period
    tokens: int = NO_LIMIT
    nanos: int = NO_LIMIT
    share: bool = False
    """Whether it is a part of the global budget, which nobody asked for by name."""

    @property
    def shared(self) -> bool:
        """Whether it is not the caller's alone."""
        return self.scope != "user"

    def name(self, subject: str, principal: Principal) -> str | None:
        """Whose it is, without the period; None for a caller whom it does not concern."""
        match self.scope:
            case "user":
                return f"budget:{subject}"
            case "peer":
                return f"budget:peer:{principal.peer}" if principal.peer else None
            case "team":
                return None if principal.team is None else f"budget:team:{principal.team}"
            case "global":
                return "budget:global"

    def concerns(self, tokens: int, nanos: int) -> bool:
        """Whether this budget limits a run that may use this much."""
        return (tokens > 0 and self.tokens != NO_LIMIT) or (nanos > 0 and self.nanos != NO_LIMIT)

    def used(self, tokens: int, nanos: int) -> float:
        """The share that is spent, of tokens or of money, whichever is more."""
        of_tokens = tokens / self.tokens if self.tokens != NO_LIMIT else 0.0
        of_money = nanos / self.nanos if self.nanos != NO_LIMIT else 0.0
        return max(of_tokens, of_money)


def budgets(settings: Settings) -> tuple[Budget, ...]:
    """Those that are set, narrowest first."""
    every: tuple[tuple[BudgetScope, Period, int | None, float | None], ...] = (
        ("user", "day", settings.budget_user_day_tokens, settings.budget_user_day_usd),
        ("team", "month", settings.budget_team_month_tokens, settings.budget_team_month_usd),
        ("global", "day", settings.budget_global_day_tokens, settings.budget_global_day_usd),
    )
    return tuple(
        Budget(
            scope,
            period,
            NO_LIMIT if tokens is None else tokens,
            NO_LIMIT if usd is None else round(usd * NANOS),
        )
        for scope, period, tokens, usd in every
        if tokens is not None or usd is not None
    )


def anonymous_budgets(settings: Settings) -> tuple[Budget, ...]:
    """Those of callers without credentials: by address, each of which has a share of the global budget."""
    named = {budget.scope: budget for budget in budgets(settings)}
    everyone, user = named.get("global"), named.get("user", Budget("user", "day"))
    share = settings.budget_anonymous_share
    if everyone is not None and share is not None:
        part, parts = _part(everyone, share), _part(everyone, min(1.0, PEER_SHARES * share))
    else:
        part = parts = Budget("user", "day")
    tokens, nanos = _least(user.tokens, part.tokens), _least(user.nanos, part.nanos)
    own = Budget("user", "day", tokens, nanos, share="user" not in named)
    peer = Budget("peer", "day", parts.tokens, parts.nanos, share=True)
    every = (own, peer, *([everyone] if everyone is not None else []))
    return tuple(budget for budget in every if budget.tokens != NO_LIMIT or budget.nanos != NO_LIMIT)


def _part(budget: Budget, share: float) -> Budget:
    tokens, nanos = (
        NO_LIMIT if amount == NO_LIMIT else int(amount * share) for amount in (budget.tokens, budget.nanos)
    )
    return Budget(budget.scope, budget.period, tokens, nanos)


def _least(limit: int, other: int) -> int:
    return max(limit, other) if NO_LIMIT in (limit, other) else min(limit, other)


class FullestBudgets:
    """The metric of how full budgets are: of each scope the fullest that this process saw in the last beat.

    No user and no team is a label, so one number has to stand for all of a scope.
    """

    def __init__(self) -> None:
        self._now: dict[BudgetScope, float] = {}
        self._before: dict[BudgetScope, float] = {}
        scopes: tuple[BudgetScope, ...] = ("user", "peer", "team", "global")
        for scope in scopes:
            metrics.BUDGET_USED.labels(scope).set_function(partial(self.share, scope))

    def observe(self, scope: BudgetScope, share: float) -> None:
        if share > self._now.get(scope, 0.0):
            self._now[scope] = share

    def share(self, scope: BudgetScope) -> float:
        return max(self._now.get(scope, 0.0), self._before.get(scope, 0.0))

    def beat(self) -> None:
        """Forget what was seen before the last beat: another day, another user."""
        self._before, self._now = self._now, {}
