"""Growing in the store: over all budgets or none, once however often it is asked for."""

from app.errors import BudgetExceeded
from app.limits.allowance import Growth
from app.limits.budgets import NANOS
from app.messages import Usage
from app.state.store import Store
from tests.limits.conftest import MakeLimiter
from tests.limits.test_budgets import reserve, standing
from tests.limits.test_rates import ADA


async def test_growth_is_all_or_nothing_over_the_budgets(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=5.0, budget_global_day_usd=1.0)
    most = (1_000, 3 * NANOS)
    claim = made.claim(ADA, "chat", "a", most, lambda: Growth((100, NANOS // 2), (100, NANOS // 2)))
    await made.admit(claim, lambda _: None)
    claim.record("m", Usage(10), 0.1)
    await made.settle(claim, Growth((100, 2 * NANOS), (100, 2 * NANOS)), over=False)
    assert isinstance(claim.refusal, BudgetExceeded)
    assert claim.refusal.scope == "global"
    now = await standing(made, store)
    assert {one.budget: one.usd.reserved for one in now.values()} == {"user": 0.4, "global": 0.4}
    assert {one.usd.spent for one in now.values()} == {0.1}
    await made.settle(claim, Growth((100, NANOS * 6 // 10), (100, NANOS // 2)), over=False)
    assert claim.refusal is None
    assert {one.usd.reserved for one in (await standing(made, store)).values()} == {0.6}
    await made.settle(claim)
    assert {one.usd.reserved for one in (await standing(made, store)).values()} == {0.0}


async def test_growth_that_is_asked_for_twice_is_reserved_once(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=1.0)
    claim = await reserve(made, "a", 0.2)
    claim.allowance.most_nanos = NANOS
    growth = Growth((100, NANOS // 2), (100, NANOS // 2))
    for _ in range(2):
        call_ = claim.settlement(over=False, growth=growth)
        assert call_
        await made._settlement(call_[0], *call_[1])
    assert (await standing(made, store))["user"].usd.reserved == 0.5


async def test_what_a_store_forgot_is_reserved_again_by_growing(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=1.0)
    claim = await reserve(made, "a", 0.2)
    await store.call("FLUSHALL")
    claim.record("m", Usage(10), 0.1)
    await made.settle(claim, Growth((100, NANOS // 2), (100, NANOS // 4)), over=False)
    assert claim.refusal is None
    assert (await standing(made, store))["user"].usd.reserved == 0.45  # half of what is left
