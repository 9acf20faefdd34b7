"""The calls of the limits' scripts: what a reservation sends to ask, to keep and to settle."""

from functools import lru_cache
from math import ceil

from app.limits.allowance import Growth
from app.limits.budgets import Budget
from app.limits.checks import Checks, mark_key
from app.limits.model_rest import rest_key
from app.limits.reservation import Reservation
from app.limits.tiers import Rule
from app.state.store import Argument

Call = tuple[tuple[str, ...], tuple[Argument, ...]]
"""The keys and arguments of a script."""

_MARK_SECONDS = 300  # how long after its end a settlement that is sent again is known to be one
_STEP_MARK_SECONDS = 3600


class Calls:
    """Makes the calls of a process's reservations."""

    def __init__(self, lease_seconds: float, usage_seconds: int) -> None:
        self._lease_ms = ceil(lease_seconds * 1000)
        self._usage_seconds = usage_seconds
        self.records = usage_seconds > 0
        """Whether usage is kept."""

    def admission(self, reservation: Reservation) -> Call:
        checks, allowance = reservation.checks, reservation.allowance
        keys: tuple[str, ...] = (*checks.rate_keys, *checks.running_keys, *checks.budget_keys)
        news = ""
        if (model := reservation.model) is not None:
            keys, news = (*keys, rest_key(model)), model.news()
        terms = _terms(self._lease_ms, checks.rules.rates, checks.rules.concurrent, checks.budgets)
        amounts = (allowance.tokens, allowance.nanos, *reservation.least)
        return keys, (reservation.run_id, "admit", terms, *amounts, "", news)

    def renewal(self, reservation: Reservation, *, resumes: bool = False) -> Call:
        """With `resumes`, it is another process that goes on with what the run holds."""
        checks, allowance = reservation.checks, reservation.allowance
        keys = (*checks.running_keys, *checks.budget_keys, mark_key(reservation.run_id))
        terms = _terms(self._lease_ms, (), checks.rules.concurrent, checks.budgets)
        left = (allowance.tokens, allowance.nanos)
        return keys, (reservation.run_id, "resume" if resumes else "renew", terms, *left, *left, reservation.day, "")

    def settlement(self, reservation: Reservation, growth: Growth | None = None, until: int | None = None) -> Call:
        """Of the first `until` steps that were recorded in this process; None: of all."""
        checks, model = reservation.checks, reservation.model
        news = "" if model is None else model.news(unmade=reservation.unmade)
        arguments: tuple[Argument, ...] = (
            reservation.run_id,
            *((0, _MARK_SECONDS) if reservation.ended else (self._lease_ms, _STEP_MARK_SECONDS)),
            len(checks.running_keys),
            self._usage_seconds,
            checks.user,
            reservation.day,
            checks.units,
            "" if growth is None else _growth(growth, checks),
            news,
        )
        for step in reservation.unsettled if until is None else reservation.steps[reservation.sent : until]:
            arguments += step
        keys: tuple[str, ...] = (mark_key(reservation.run_id), *checks.settled_keys)
        if model is not None and news:
            keys = (*keys, rest_key(model))
        return keys, arguments


def _growth(growth: Growth, checks: Checks) -> str:
    words = [*growth.wanted, *growth.least]
    for budget in checks.budgets:
        words += (budget.tokens, budget.nanos)
    return " ".join(map(str, words))


@lru_cache(1024)
def _terms(lease_ms: int, rates: tuple[Rule, ...], concurrent: tuple[Rule, ...], budgets: tuple[Budget, ...]) -> str:
    words: list[object] = [lease_ms, len(rates), len(concurrent), len(budgets)]
    words += [rule.most for rule in (*rates, *concurrent)]
    for budget in budgets:
        words += (budget.period, budget.tokens, budget.nanos)
    return " ".join(map(str, words))
