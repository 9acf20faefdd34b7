"""Growing in the store: over all budgets or none, once however often it is asked for."""

from app.errors import BudgetExceeded
from app.limits.allowance import Growth
from app.messages import NANOS, Usage
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import ADA, reserve, standing
from tests.limits.watched import WatchedStore


async def test_growth_is_all_or_nothing_over_the_budgets(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=5.0, budget_global_day_usd=1.0)
    most = (1_000, 3 * NANOS)
    reservation = made.reservation(ADA, "chat", "a", most, lambda: Growth((100, NANOS // 2), (100, NANOS // 2)))
    await made.reserve(reservation, lambda _: None)
    reservation.record("m", Usage(10), 0.1)
    await made.settle(reservation, Growth((100, 2 * NANOS), (100, 2 * NANOS)), over=False)
    assert isinstance(reservation.refusal, BudgetExceeded)
    assert reservation.refusal.scope == "global"
    now = await standing(made)
    assert {one.budget: one.usd.reserved for one in now.values()} == {"user": 0.4, "global": 0.4}
    assert {one.usd.spent for one in now.values()} == {0.1}
    await made.settle(reservation, Growth((100, NANOS * 6 // 10), (100, NANOS // 2)), over=False)
    assert reservation.refusal is None
    assert {one.usd.reserved for one in (await standing(made)).values()} == {0.6}
    await made.settle(reservation)
    assert {one.usd.reserved for one in (await standing(made)).values()} == {0.0}


async def test_growth_that_is_asked_for_twice_is_reserved_once(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.2)
    reservation.allowance.most_nanos = NANOS
    growth = Growth((100, NANOS // 2), (100, NANOS // 2))
    store.lose = 1
    for _ in range(2):
        await made.settle(reservation, growth, over=False)
    assert (await standing(made))["user"].usd.reserved == 0.5


async def test_what_a_store_forgot_is_reserved_again_by_growing(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.2)
    await store.call("FLUSHALL")
    reservation.record("m", Usage(10), 0.1)
    await made.settle(reservation, Growth((100, NANOS // 2), (100, NANOS // 4)), over=False)
    assert reservation.refusal is None
    assert (await standing(made))["user"].usd.reserved == 0.45  # half of what is left
