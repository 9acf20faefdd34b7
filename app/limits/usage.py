"""Usage by day, user and model, as settle.lua records it; and how budgets stand."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from app.access.principal import Principal
from app.limits.budgets import NO_LIMIT, Budget
from app.limits.checks import TAG, USAGE_KEY
from app.limits.scripts import PEEK
from app.limits.subject import subject_of, usage_name
from app.limits.wire import BudgetState, read_budgets
from app.messages import NANOS
from app.state.store import Script, Store

_AT_ONCE = 500  # hashes read in one round trip


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Of one model, by one user, on one day. `input_tokens` includes those read from and written to a cache."""

    day: str
    user: str
    model: str
    calls: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    cost_usd: float
    uncertain_tokens: int
    """The part of the tokens that nobody counted: estimates for calls that were cut."""


@dataclass(frozen=True, slots=True)
class Amount:
    limit: float | None
    spent: float
    reserved: float


@dataclass(frozen=True, slots=True)
class Standing:
    """A budget in its current period. What is reserved was admitted and is not settled yet."""

    budget: str
    period: str
    resets_in_seconds: int
    tokens: Amount
    usd: Amount

    @property
    def used(self) -> bool:
        return any((self.tokens.spent, self.tokens.reserved, self.usd.spent, self.usd.reserved))


class UsageBook:
    """Every method raises StateUnavailable."""

    def __init__(self, store: Store, budgets: Sequence[Budget], anonymous: Sequence[Budget] = ()) -> None:
        """The budgets of callers with credentials, and those of callers without."""
        self._store = store
        self._budgets = budgets
        self._anonymous = anonymous
        self._peek = Script(store, PEEK)

    async def of_user(self, user: str, days: int) -> list[ModelUsage]:
        """The last days, latest first."""
        return await self.of_users((user,), days)

    async def of_users(self, users: Sequence[str], days: int) -> list[ModelUsage]:
        """The last days, latest first."""
        return await self._read((day, user) for day in _last(days) for user in users)

    async def of_caller(self, principal: Principal, days: int) -> list[ModelUsage]:
        """The caller's own, latest first: without credentials, what their address used under the name they give."""
        owner, _, name = usage_name(principal).partition(" ")
        rows = await self.of_user(owner, days)
        return [row for row in rows if row.user == name] if name else rows

    async def of_all(self, days: int) -> list[ModelUsage]:
        """The last days, latest first, users by name."""
        dates = _last(days)
        users = await asyncio.gather(*(self._store.call("SMEMBERS", f"{USAGE_KEY}:{day}") for day in dates))
        return await self._read(
            (day, user.decode()) for day, names in zip(dates, users, strict=True) for user in sorted(names)
        )

    async def standings(self, principal: Principal) -> list[Standing]:
        """Of the caller and their team. A share of the global budget is told once something was used of it."""
        subject = subject_of(principal)
        budgets = self._budgets if principal.authenticated else self._anonymous
        own = [budget for budget in budgets if budget.scope in ("user", "team")]
        standings = await self._standings([(budget, budget.name(subject, principal)) for budget in own])
        shared = {budget.scope for budget in own if budget.share}
        return [standing for standing in standings if standing.used or standing.budget not in shared]

    async def global_standings(self) -> list[Standing]:
        everyone = [budget for budget in self._budgets if budget.scope == "global"]
        return await self._standings([(budget, "budget:global") for budget in everyone])

    async def _standings(self, asked: list[tuple[Budget, str | None]]) -> list[Standing]:
        known = [(budget, TAG + name) for budget, name in asked if name is not None]
        if not known:
            return []
        units = [budget.period for budget, _ in known]
        states = await self._peek(tuple(key for _, key in known), *units, read=read_budgets)
        return [_standing(budget, state) for (budget, _), state in zip(known, states, strict=True)]

    async def _read(self, places: Iterable[tuple[str, str]]) -> list[ModelUsage]:
        rows: list[ModelUsage] = []
        wanted = list(places)
        for at in range(0, len(wanted), _AT_ONCE):
            chunk = wanted[at : at + _AT_ONCE]
            replies = await asyncio.gather(
                *(self._store.call("HGETALL", f"{USAGE_KEY}:{day}:{user}") for day, user in chunk)
            )
            for (day, user), reply in zip(chunk, replies, strict=True):
                rows += _rows(day, user, reply)
        return rows


def _last(days: int) -> list[str]:
    today: date = datetime.now(UTC).date()
    return [str(today - timedelta(days=ago)) for ago in range(days)]


def _rows(day: str, user: str, reply: list[bytes]) -> list[ModelUsage]:
    """An address has rows for each name that its callers gave."""
    counted: dict[tuple[str, str], dict[str, int]] = defaultdict(dict)
    for field, count in zip(reply[::2], reply[1::2], strict=True):
        kind, _, of = field.decode().partition(" ")
        name, _, model = of.partition(" ") if user.startswith("address:") else (user, "", of)
        counted[name, model][kind] = int(count)
    return [
        ModelUsage(
            day,
            name,
            model,
            calls=counts.get("calls", 0),
            input_tokens=counts.get("input", 0),
            output_tokens=counts.get("output", 0),
            cache_read_tokens=counts.get("cache_read", 0),
            cache_write_tokens=counts.get("cache_write", 0),
            cost_usd=counts.get("nanos", 0) / NANOS,
            uncertain_tokens=counts.get("uncertain", 0),
        )
        for (name, model), counts in sorted(counted.items())
    ]


def _standing(budget: Budget, state: BudgetState) -> Standing:
    return Standing(
        budget.scope,
        budget.period,
        state.ends_in,
        Amount(None if budget.tokens == NO_LIMIT else budget.tokens, state.tokens, state.reserved_tokens),
        Amount(
            None if budget.nanos == NO_LIMIT else budget.nanos / NANOS,
            state.nanos / NANOS,
            state.reserved_nanos / NANOS,
        ),
    )
