"""A store that is away, slow, read-only, full or empty: nobody gets in who should not, and no cost is forgotten."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from app.errors import LimitsUnavailable, StateUnavailable
from app.limits.limiter import Limiter
from app.messages import Usage
from app.settings import load
from app.state.redis import connect
from tests.doubles import AbsentStore
from tests.limits.conftest import brief, going
from tests.limits.stage import ADA, ask, limits, reserve, standing
from tests.limits.watched import WatchedStore, once_free, until
from tests.redis_server import RedisServer

BUDGET = {"budget_user_day_usd": 1.0}
RATE = {"limits": limits(user={"per_minute": 1})}


@pytest.fixture
async def store(mortal_redis: RedisServer) -> AsyncIterator[WatchedStore]:
    store = WatchedStore(connect(mortal_redis.url))
    yield store
    await store.aclose()


async def test_away_a_budget_admits_nobody() -> None:
    made = Limiter(load(None, **BUDGET), AbsentStore())
    with pytest.raises(LimitsUnavailable) as caught:
        await reserve(made, "a", 0.1)
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


async def test_away_rates_alone_let_everyone_in() -> None:
    reservation = await ask(Limiter(load(None, **RATE), AbsentStore()))
    assert reservation.degraded


async def test_away_the_setting_decides() -> None:
    reservation = await reserve(Limiter(load(None, **BUDGET, limits_fail="open"), AbsentStore()), "a", 0.1)
    assert reservation.degraded
    with pytest.raises(LimitsUnavailable):
        await ask(Limiter(load(None, **RATE, limits_fail="closed"), AbsentStore()))


async def test_what_needs_no_limit_does_not_need_the_store() -> None:
    store = AbsentStore()
    await ask(Limiter(load(None, **BUDGET), store))
    assert not store.calls


async def test_slow_is_away(mortal_redis: RedisServer, store: WatchedStore) -> None:
    made = Limiter(load(None, **BUDGET), store)
    await reserve(made, "a", 0.1)
    mortal_redis.freeze()
    with pytest.raises(LimitsUnavailable):
        await asyncio.wait_for(reserve(made, "b", 0.1), 5)
    mortal_redis.thaw()
    await once_free(lambda: reserve(made, "c", 0.1), LimitsUnavailable)


async def test_a_replica_that_takes_no_writes_admits_nobody(mortal_redis: RedisServer, store: WatchedStore) -> None:
    made = Limiter(load(None, **BUDGET), store)
    await reserve(made, "a", 0.1)
    await store.call("REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(LimitsUnavailable):
        await reserve(made, "b", 0.1)


async def test_a_full_store_admits_nobody_and_what_was_used_is_recorded_when_it_has_room(
    mortal_redis: RedisServer, store: WatchedStore
) -> None:
    made = Limiter(brief(**BUDGET, lease_seconds=0.3), store)
    reservation = await reserve(made, "a", 0.5)
    reservation.record("m", Usage(10), 0.4)
    await store.call("CONFIG", "SET", "maxmemory", 1)
    with pytest.raises(LimitsUnavailable):
        await reserve(made, "b", 0.1)
    await made.settle(reservation)
    async with going(made):
        await store.settled(1)  # not yet
        assert not reservation.settled
        await store.call("CONFIG", "SET", "maxmemory", 0)
        await until(lambda: reservation.settled)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.4, 0)
    (row,) = await made.usage.of_user("ada", 1)
    assert row.cost_usd == 0.4


async def test_what_was_used_while_the_store_was_away_is_recorded_when_it_is_back(
    mortal_redis: RedisServer, store: WatchedStore
) -> None:
    made = Limiter(brief(**BUDGET, lease_seconds=0.3), store)
    reservation = await reserve(made, "a", 0.5)
    reservation.record("m", Usage(10), 0.4)
    mortal_redis.stop()
    await made.settle(reservation)
    async with going(made):
        await store.settled(1)  # not yet
        assert not reservation.settled
        mortal_redis.start()
        await until(lambda: reservation.settled)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.4, 0)


async def test_settled_after_the_store_forgot_everything_it_is_spent_without_a_reservation(store: WatchedStore) -> None:
    made = Limiter(load(None, **BUDGET), store)
    reservation = await reserve(made, "a", 0.5)
    reservation.record("m", Usage(10), 0.1)
    await made.settle(reservation, over=False)
    await store.call("FLUSHALL")
    reservation.record("m", Usage(10), 0.2)
    await made.settle(reservation)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.2, 0)
    for key in await store.call("KEYS", "*"):
        assert await store.call("TTL", key) > 0, key


async def test_run_without_a_reservation_it_is_recorded_all_the_same(
    mortal_redis: RedisServer, store: WatchedStore
) -> None:
    made = Limiter(load(None, **BUDGET, limits_fail="open"), store)
    mortal_redis.stop()
    reservation = await reserve(made, "a", 0.5)
    mortal_redis.start()
    await once_free(lambda: store.call("PING"), StateUnavailable)
    reservation.record("m", Usage(10), 0.2)
    await made.settle(reservation)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.2, 0)
    assert reservation.checks.user == ADA.user
