"""Reservations outlive neither their process nor the certainty that they hold."""

import asyncio

import pytest

from app.errors import AppError, BudgetExceeded, LimitsUnavailable
from app.limits.limiter import Limiter
from app.messages import NANOS, Usage
from app.state.redis import connect
from tests.limits.conftest import MakeLimiter, brief, going
from tests.limits.stage import ADA, over_budget, reserve, standing
from tests.limits.watched import WatchedStore, once_free
from tests.redis_server import RedisServer

BUDGET = {"budget_user_day_usd": 1.0, "lease_seconds": 0.6}
BRIEF = {**BUDGET, "lease_seconds": 0.1}


async def test_what_a_dead_process_had_reserved_is_free_again_within_a_lease(store: WatchedStore) -> None:
    dead, alive = (Limiter(brief(**BUDGET), store) for _ in range(2))
    await reserve(dead, "a", 0.9)
    await over_budget(alive, "b", 0.9)
    died_at = asyncio.get_running_loop().time()
    await once_free(lambda: reserve(alive, "b", 0.9), BudgetExceeded)
    assert asyncio.get_running_loop().time() - died_at > 0.5
    assert (await standing(alive))["user"].usd.reserved == 0.9


async def test_what_it_had_settled_stays_spent(store: WatchedStore) -> None:
    dead = Limiter(brief(**BRIEF), store)
    reservation = await reserve(dead, "a", 0.9)
    reservation.record("m", Usage(1), 0.2)
    await dead.settle(reservation, over=False)
    await asyncio.sleep(0.12)
    user = (await standing(dead))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.2, 0)


async def test_a_reservation_is_kept_as_long_as_its_run_goes_on(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(**BUDGET)
    reservation = await reserve(made, "a", 0.9)
    await store.renewed(5)  # a lease is three of them
    assert (await standing(made))["user"].usd.reserved == 0.9
    reservation.record("m", Usage(1), 0.5)
    await made.settle(reservation)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.5, 0)


async def test_a_renewal_of_a_run_that_is_over_brings_nothing_back(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.9)
    await made.settle(reservation)
    await made.renew(reservation)
    assert (await standing(made))["user"].usd.reserved == 0


async def test_a_run_is_ended_before_others_may_be_given_what_it_reserved(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    made = Limiter(brief(**BUDGET), store)
    lost: asyncio.Future[AppError] = asyncio.get_running_loop().create_future()
    reservation = made.reservation(ADA, "chat", "a", (100, NANOS // 2))
    await made.reserve(reservation, lambda error: None if lost.done() else lost.set_result(error))
    async with going(made):
        mortal_redis.stop()
        assert isinstance(await asyncio.wait_for(lost, BUDGET["lease_seconds"]), LimitsUnavailable)
    await store.aclose()


async def test_with_limits_fail_open_it_goes_on(mortal_redis: RedisServer) -> None:
    store = WatchedStore(connect(mortal_redis.url))
    made = Limiter(brief(**BUDGET, limits_fail="open"), store)
    lost: list[AppError] = []
    await made.reserve(made.reservation(ADA, "chat", "a", (100, NANOS // 2)), lost.append)
    async with going(made):
        mortal_redis.stop()
        await store.renewed(5)
    assert not lost
    await store.aclose()


async def test_a_store_that_forgot_everything_is_told_again_what_is_reserved(
    limiter: MakeLimiter, store: WatchedStore
) -> None:
    made = limiter(**BUDGET)
    await reserve(made, "a", 0.9)
    await store.call("FLUSHALL")
    await store.renewed(1)
    assert (await standing(made))["user"].usd.reserved == 0.9
    await over_budget(made, "b", 0.9)


async def test_a_run_whose_reservation_others_were_given_is_ended(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(**BUDGET)
    lost: asyncio.Future[AppError] = asyncio.get_running_loop().create_future()
    await made.reserve(made.reservation(ADA, "chat", "a", (100, NANOS * 9 // 10)), lost.set_result)
    await store.call("FLUSHALL")
    reservation = await reserve(made, "b", 0.9)
    error = await asyncio.wait_for(lost, 5)
    await made.settle(reservation)
    with pytest.raises(BudgetExceeded):
        raise error
