"""Budgets: reserved before a run, settled to what it used, told when they are nearly used."""

import pytest

from app.access.principal import Principal
from app.messages import NANOS, Usage
from app.telemetry import metrics
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import ADA, BOB, over_budget, reserve, standing
from tests.limits.watched import WatchedStore
from tests.logged import capture_logs

CORE_ADA = Principal("ada", team="core", authenticated=True)
CORE_BOB = Principal("bob", team="core", authenticated=True)


async def test_what_a_run_may_cost_is_reserved_and_what_it_did_not_cost_is_released(
    limiter: MakeLimiter, store: WatchedStore
) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.4)
    assert (await standing(made))["user"].usd.reserved == 0.4
    reservation.record("m", Usage(60, 10), 0.1)
    await made.settle(reservation, over=False)
    user = (await standing(made))["user"]
    assert user.usd.spent == 0.1
    assert user.usd.reserved == pytest.approx(0.3)
    assert (user.tokens.spent, user.tokens.reserved) == (70, 30)
    await made.settle(reservation)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.1, 0)


async def test_what_is_left_has_to_cover_the_run(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_usd=1.0)
    first = await reserve(made, "a", 0.6)
    error = await over_budget(made, "b", 0.6)
    assert (error.status, error.slug) == (429, "budget-exceeded")
    assert error.members()["budget"] == "user"
    assert error.members()["unit"] == "usd"
    assert 0 < error.members()["resets_in_seconds"] <= 86_400
    assert error.retry_after == 5  # the first run may leave enough of what it reserved
    first.record("m", Usage(1), 0.6)
    await made.settle(first)
    error = await over_budget(made, "b", 0.6)
    assert error.retry_after == error.members()["resets_in_seconds"]
    await reserve(made, "b", 0.6, principal=BOB)


async def test_a_run_gets_half_of_what_is_left_or_what_it_needs_to_begin_with(
    limiter: MakeLimiter, store: WatchedStore
) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_user_day_tokens=150)
    await reserve(made, "a", 0.9)
    reservation = await reserve(made, "b", 0.5, least=0.2)
    assert (reservation.allowance.tokens, reservation.allowance.nanos) == (25, 100_000_000)
    assert reservation.tight
    user = (await standing(made))["user"]
    assert (user.usd.reserved, user.tokens.reserved) == (1.0, 125)


async def test_tokens_count_where_nothing_costs_money(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_tokens=150)
    await reserve(made, "a", 0.0)
    error = await over_budget(made, "b", 0.0)
    assert error.members()["unit"] == "tokens"


async def test_a_run_that_costs_nothing_needs_no_budget_of_money(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=0.01)
    reservation = await reserve(made, "a", 0.0)
    assert not reservation.checks.budgets
    assert await store.call("DBSIZE") == 0


async def test_a_team_has_a_month_and_its_members_share_it(limiter: MakeLimiter) -> None:
    made = limiter(budget_team_month_usd=1.0)
    await reserve(made, "a", 0.7, principal=CORE_ADA)
    error = await over_budget(made, "b", 0.7, principal=CORE_BOB)
    assert (error.members()["budget"], error.members()["period"]) == ("team", "month")
    assert error.members()["resets_in_seconds"] <= 31 * 86_400
    await reserve(made, "b", 0.7, principal=BOB)  # of no team


async def test_all_together_have_a_day(limiter: MakeLimiter) -> None:
    made = limiter(budget_global_day_usd=1.0)
    await reserve(made, "a", 0.7)
    assert (await over_budget(made, "b", 0.7, principal=BOB)).members()["budget"] == "global"


async def test_a_run_that_one_budget_refuses_reserves_nothing_in_another(
    limiter: MakeLimiter, store: WatchedStore
) -> None:
    made = limiter(budget_user_day_usd=5.0, budget_global_day_usd=1.0)
    await over_budget(made, "a", 2.0)
    assert all(one.usd.reserved == 0 for one in (await standing(made)).values())


async def test_at_80_percent_there_is_a_header_a_log_line_and_a_metric(limiter: MakeLimiter) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.5)
    reservation.record("m", Usage(10), 0.5)
    await made.settle(reservation)
    reservation = await reserve(made, "b", 0.35)
    reservation.record("m", Usage(10), 0.35)
    with capture_logs() as lines:
        await made.settle(reservation)
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
    reservation = made.reservation(ADA, "chat", "c", (10, NANOS // 10))
    with capture_logs() as lines:
        assert (await made.reserve(reservation, lambda _: None))["X-Budget-Used"] == "user=0.85"
        reservation.record("m", Usage(10), 0.01)
        await made.settle(reservation)
    assert not lines  # told once


def _used_by_users() -> float:
    (family,) = metrics.BUDGET_USED.collect()
    return next(sample.value for sample in family.samples if sample.labels["scope"] == "user")


async def test_a_run_over_midnight_is_settled_where_it_was_reserved(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_global_day_usd="off")
    reservation = await reserve(made, "a", 0.4)
    today = reservation.day
    await store.call("RENAME", f"{{limits}}:budget:user:ada:{today}", "{limits}:budget:user:ada:2020-02-29")
    reservation.day = "2020-02-29"
    reservation.record("m", Usage(10), 0.3)
    await made.settle(reservation)
    spent, reserved = await store.call("HMGET", "{limits}:budget:user:ada:2020-02-29", "sc", "rc")
    assert (int(spent), int(reserved)) == (300_000_000, 0)
    assert (await standing(made))["user"].usd.spent == 0


async def test_a_settlement_that_is_sent_twice_counts_once(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0)
    reservation = await reserve(made, "a", 0.4)
    reservation.record("m", Usage(10), 0.1)
    for over in (False, True):
        store.lose = 1
        await made.settle(reservation, over=over)
        await made.settle(reservation, over=over)
    user = (await standing(made))["user"]
    assert (user.usd.spent, user.usd.reserved, user.tokens.spent) == (0.1, 0, 10)
    (row,) = await made.usage.of_user("ada", 1)
    assert (row.calls, row.cost_usd) == (1, 0.1)


async def test_what_budgets_keep_ends_after_their_period(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(budget_user_day_usd=1.0, budget_team_month_usd=9.0, budget_global_day_usd=9.0)
    reservation = await reserve(made, "a", 0.4, principal=CORE_ADA)
    reservation.record("m", Usage(10), 0.1)
    for over in (False, True):
        keys = await store.call("KEYS", "*")
        assert len(keys) >= 3
        for key in keys:
            assert 0 < await store.call("TTL", key) <= 35 * 86_400, key
        await made.settle(reservation, over=over)
