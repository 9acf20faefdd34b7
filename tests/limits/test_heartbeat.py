"""Reservations outlive neither their process nor the certainty that they hold."""

import asyncio

import pytest

from app.errors import AppError, BudgetExceeded, LimitsUnavailable
from app.limits.budgets import NANOS
from app.limits.limiter import Limiter
from app.messages import Usage
from app.settings import load
from app.state.redis import connect
from app.state.store import Store
from tests.limits.conftest import MakeLimiter
from tests.limits.test_budgets import refused, reserve, standing
from tests.limits.test_rates import ADA
from tests.redis_server import RedisServer

BUDGET = {"budget_user_day_usd": 1.0, "lease_seconds": 1}


async def test_what_a_dead_process_had_reserved_is_free_again_within_a_lease(store: Store) -> None:
    dead, alive = (Limiter(load(None, **BUDGET), store) for _ in range(2))
    await reserve(dead, "a", 0.9)
    await refused(alive, "b", 0.9)
    await asyncio.sleep(1.05)
    await reserve(alive, "b", 0.9)
    assert (await standing(alive, store))["user"].usd.reserved == 0.9


async def test_what_it_had_settled_stays_spent(store: Store) -> None:
    dead = Limiter(load(None, **BUDGET), store)
    claim = await reserve(dead, "a", 0.9)
    claim.record("m", Usage(1), 0.2)
    await dead.settle(claim, over=False)
    await asyncio.sleep(1.05)
    user = (await standing(dead, store))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.2, 0)


async def test_a_reservation_is_kept_as_long_as_its_run_goes_on(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(**BUDGET)
    claim = await reserve(made, "a", 0.9)
    await asyncio.sleep(2.2)
    assert (await standing(made, store))["user"].usd.reserved == 0.9
    claim.record("m", Usage(1), 0.5)
    await made.settle(claim)
    user = (await standing(made, store))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.5, 0)


async def test_a_renewal_of_a_run_that_is_over_brings_nothing_back(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(**BUDGET)
    claim = await reserve(made, "a", 0.9)
    keys, arguments = claim.renewal()
    await made.settle(claim)
    await made._admission(keys, *arguments)
    assert (await standing(made, store))["user"].usd.reserved == 0


async def test_a_run_is_ended_before_others_may_be_given_what_it_reserved(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    made = Limiter(load(None, **{**BUDGET, "lease_seconds": 3}), store)
    lost: list[AppError] = []
    claim = made.claim(ADA, "chat", "a", (100, NANOS // 2))
    await made.admit(claim, lost.append)
    tending = asyncio.create_task(made.leases.tend())
    mortal_redis.stop()
    admitted_at = asyncio.get_running_loop().time()
    while not lost:  # noqa: ASYNC110 - for at most the lease
        await asyncio.sleep(0.02)
    assert asyncio.get_running_loop().time() - admitted_at < 3
    assert isinstance(lost[0], LimitsUnavailable)
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)
    await store.aclose()


async def test_with_limits_fail_open_it_goes_on(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    made = Limiter(load(None, **BUDGET, limits_fail="open"), store)
    lost: list[AppError] = []
    await made.admit(made.claim(ADA, "chat", "a", (100, NANOS // 2)), lost.append)
    tending = asyncio.create_task(made.leases.tend())
    mortal_redis.stop()
    await asyncio.sleep(1.5)
    assert not lost
    tending.cancel()
    await asyncio.gather(tending, return_exceptions=True)
    await store.aclose()


async def test_a_store_that_forgot_everything_is_told_again_what_is_reserved(
    limiter: MakeLimiter, store: Store
) -> None:
    made = limiter(**BUDGET)
    await reserve(made, "a", 0.9)
    await store.call("FLUSHALL")
    await asyncio.sleep(0.5)
    assert (await standing(made, store))["user"].usd.reserved == 0.9
    await refused(made, "b", 0.9)


async def test_a_run_whose_reservation_others_were_given_is_ended(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(**BUDGET)
    lost: list[AppError] = []
    await made.admit(made.claim(ADA, "chat", "a", (100, NANOS * 9 // 10)), lost.append)
    await store.call("FLUSHALL")
    await reserve(made, "b", 0.9)
    await asyncio.sleep(0.5)
    assert isinstance(lost[0], BudgetExceeded)
    with pytest.raises(BudgetExceeded):
        raise lost[0]
