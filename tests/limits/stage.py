"""What tests of limits share: two users, and requests and reservations of theirs."""

import json
from itertools import count
from typing import Any

import pytest

from app.access.principal import Principal
from app.errors import BudgetExceeded, RateLimited
from app.limits import tiers
from app.limits.allowance import Growth
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.limits.usage import Standing
from app.messages import NANOS

ADA = Principal("ada", authenticated=True)


BOB = Principal("bob", authenticated=True)


def limits(**levels: Any) -> str:
    """`everyone`, and a default tier."""
    everyone = levels.pop("everyone", {})
    return json.dumps({"global": everyone, "tiers": {"default": levels}})


_runs = count()


async def ask(limiter: Limiter, principal: Principal = ADA, operation: str = "chat") -> Reservation:
    reservation = limiter.reservation(principal, operation, f"run-{next(_runs)}")
    await limiter.reserve(reservation, lambda _: None)
    return reservation


async def refused(limiter: Limiter, principal: Principal = ADA, operation: str = "chat") -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await ask(limiter, principal, operation)
    return caught.value


async def reserve(
    limiter: Limiter, run: str, usd: float, tokens: int = 100, principal: Principal = ADA, least: float = 1.0
) -> Reservation:
    most = (tokens, round(usd * NANOS))
    first = Growth(most, (int(tokens * least), int(most[1] * least)))
    reservation = limiter.reservation(principal, "chat", run, most, lambda: first)
    await limiter.reserve(reservation, lambda _: None)
    return reservation


async def over_budget(limiter: Limiter, run: str, usd: float, **options: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        await reserve(limiter, run, usd, **options)
    return caught.value


async def standing(limiter: Limiter, principal: Principal = ADA) -> dict[str, Standing]:
    book = limiter.usage
    return {one.budget: one for one in [*await book.standings(principal), *await book.global_standings()]}


def parse(limits: Any) -> tiers.Limits:
    return tiers.parse(limits if isinstance(limits, str) else json.dumps(limits))
