"""Budgets: reserved before a run, settled to what it used, told when they are nearly used."""

from typing import Any

import pytest

from app.access.principal import Principal
from app.errors import BudgetExceeded
from app.limits.allowance import Growth
from app.limits.budgets import NANOS
from app.limits.limiter import Limiter
from app.limits.reservation import Claim
from app.limits.usage import Standing, UsageBook
from app.messages import Usage
from app.state.store import Store
from app.telemetry import metrics
from tests.limits.conftest import MakeLimiter
from tests.limits.test_rates import ADA, BOB
from tests.logged import capture_logs

CORE_ADA = Principal("ada", team="core", authenticated=True)
CORE_BOB = Principal("bob", team="core", authenticated=True)


async def reserve(
    limiter: Limiter, run: str, usd: float, tokens: int = 100, principal: Principal = ADA, least: float = 1.0
) -> Claim:
    most = (tokens, round(usd * NANOS))
    first = Growth(most, (int(tokens * least), int(most[1] * least)))
    claim = limiter.claim(principal, "chat", run, most, lambda: first)
    await limiter.admit(claim, lambda _: None)
    return claim


async def refused(limiter: Limiter, run: str, usd: float, **options: Any) -> BudgetExceeded:
    with pytest.raises(BudgetExceeded) as caught:
        await reserve(limiter, run, usd, **options)
    return caught.value


async def standing(limiter: Limiter, store: Store, principal: Principal = ADA) -> dict[str, Standing]:
    book = UsageBook(store, limiter.budgets)
    return {one.budget: one for one in [*await book.standings(principal), *await book.global_standings()]}


async def test_what_a_run_may_cost_is_reserved_and_what_it_did_not_cost_is_released(
    limiter: MakeLimiter, store: Store
) -> None:
    made = limiter(budget_user_day_usd=1.0)
    claim = await reserve(made, "a", 0.4)
    assert (await standing(made, store))["user"].usd.reserved == 0.4
    claim.record("m", Usage(60, 10), 0.1)
    await made.settle(claim, over=False)
    user = (await standing(made, store))["user"]
    assert user.usd.spent == 0.1
    assert user.usd.reserved == pytest.approx(0.3)
    assert (user.tokens.spent, user.tokens.reserved) == (70, 30)
    await made.settle(claim)
    user = (await standing(made, store))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.1, 0)


async def test_what_is_left_has_to_cover_the_run(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_usd=1.0)
    first = await reserve(made, "a", 0.6)
    error = await refused(made, "b", 0.6)
    assert (error.status, error.slug) == (429, "budget-exceeded")
    assert error.members()["budget"] == "user"
    assert error.members()["unit"] == "usd"
    assert 0 < error.members()["resets_in_seconds"] <= 86_400
    assert error.retry_after == 5  # the first run may leave enough of what it reserved
    first.record("m", Usage(1), 0.6)
    await made.settle(first)
    error = await refused(made, "b", 0.6)
    assert error.retry_after == error.members()["resets_in_seconds"]
    await reserve(made, "b", 0.6, principal=BOB)


async def test_a_run_gets_half_of_what_is_left_or_what_it_needs_to_begin_with(
    limiter: MakeLimiter, store: Store
) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_user_day_tokens=150)
    await reserve(made, "a", 0.9)
    claim = await reserve(made, "b", 0.5, least=0.2)
    assert (claim.allowance.tokens, claim.allowance.nanos) == (25, 100_000_000)
    assert claim.tight
    user = (await standing(made, store))["user"]
    assert (user.usd.reserved, user.tokens.reserved) == (1.0, 125)


async def test_tokens_count_where_nothing_costs_money(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_tokens=150)
    await reserve(made, "a", 0.0)
    error = await refused(made, "b", 0.0)
    assert error.members()["unit"] == "tokens"


async def test_a_run_that_costs_nothing_needs_no_budget_of_money(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=0.01)
    claim = await reserve(made, "a", 0.0)
    assert not claim.budgets
    assert await store.call("DBSIZE") == 0


async def test_a_team_has_a_month_and_its_members_share_it(limiter: MakeLimiter) -> None:
    made = limiter(budget_team_month_usd=1.0)
    await reserve(made, "a", 0.7, principal=CORE_ADA)
    error = await refused(made, "b", 0.7, principal=CORE_BOB)
    assert (error.members()["budget"], error.members()["period"]) == ("team", "month")
    assert error.members()["resets_in_seconds"] <= 31 * 86_400
    await reserve(made, "b", 0.7, principal=BOB)  # of no team


async def test_all_together_have_a_day(limiter: MakeLimiter) -> None:
    made = limiter(budget_global_day_usd=1.0)
    await reserve(made, "a", 0.7)
    assert (await refused(made, "b", 0.7, principal=BOB)).members()["budget"] == "global"


async def test_a_run_that_one_budget_refuses_reserves_nothing_in_another(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=5.0, budget_global_day_usd=1.0)
    await refused(made, "a", 2.0)
    assert all(one.usd.reserved == 0 for one in (await standing(made, store)).values())


async def test_at_80_percent_there_is_a_header_a_log_line_and_a_metric(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_usd=1.0)
    claim = await reserve(made, "a", 0.5)
    claim.record("m", Usage(10), 0.5)
    await made.settle(claim)
    claim = await reserve(made, "b", 0.35)
    claim.record("m", Usage(10), 0.35)
    with capture_logs() as lines:
        await made.settle(claim)
    assert [line for line in lines if line["event"] == "budget.nearly_used"] == [
        {
            "event": "budget.nearly_used",
            "log_level": "warning",
            "budget": "budget:user:ada",
            "period": "day",
            "used": 0.85,
        }
    ]
    assert _used_by_users() == pytest.approx(0.85)
    claim = made.claim(ADA, "chat", "c", (10, NANOS // 10))
    with capture_logs() as lines:
        assert (await made.admit(claim, lambda _: None))["X-Budget-Used"] == "user=0.85"
        claim.record("m", Usage(10), 0.01)
        await made.settle(claim)
    assert not lines  # told once


def _used_by_users() -> float:
    (family,) = metrics.BUDGET_USED.collect()
    return next(sample.value for sample in family.samples if sample.labels["scope"] == "user")


async def test_a_run_over_midnight_is_settled_where_it_was_reserved(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_global_day_usd="off")
    claim = await reserve(made, "a", 0.4)
    today = claim.periods[0]
    await store.call("RENAME", f"budget:user:ada:{today}", "budget:user:ada:2020-02-29")
    claim.periods = ["2020-02-29"]
    claim.record("m", Usage(10), 0.3)
    await made.settle(claim)
    spent, reserved = await store.call("HMGET", "budget:user:ada:2020-02-29", "sc", "rc")
    assert (int(spent), int(reserved)) == (300_000_000, 0)
    assert (await standing(made, store))["user"].usd.spent == 0


async def test_a_settlement_that_is_sent_twice_counts_once(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=1.0)
    claim = await reserve(made, "a", 0.4)
    claim.record("m", Usage(10), 0.1)
    for over in (False, False, True, True):
        call = claim.settlement(over=over)
        assert call
        keys, arguments = call
        await made._settlement(keys, *arguments)
    user = (await standing(made, store))["user"]
    assert (user.usd.spent, user.usd.reserved, user.tokens.spent) == (0.1, 0, 10)
    (row,) = await UsageBook(store, ()).of_user("ada", 1)
    assert (row.calls, row.cost_usd) == (1, 0.1)


async def test_what_budgets_keep_ends_after_their_period(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_team_month_usd=9.0, budget_global_day_usd=9.0)
    claim = await reserve(made, "a", 0.4, principal=CORE_ADA)
    claim.record("m", Usage(10), 0.1)
    for over in (False, True):
        keys = await store.call("KEYS", "*")
        assert len(keys) >= 3
        for key in keys:
            assert 0 < await store.call("TTL", key) <= 35 * 86_400, key
        await made.settle(claim, over=over)
