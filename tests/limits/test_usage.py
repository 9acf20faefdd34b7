"""What was used, by day, user and model."""

import asyncio

from app.access.principal import Principal
from app.limits.usage import UsageBook
from app.messages import Usage
from app.state.store import Store
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import ADA, BOB, ask, reserve


async def test_calls_add_up_by_user_and_model(limiter: MakeLimiter, store: Store) -> None:
    made = limiter()
    for principal, model in ((ADA, "a/x"), (ADA, "a/x"), (ADA, "b/y 1"), (BOB, "a/x")):
        reservation = await ask(made, principal)
        reservation.record(model, Usage(10, 5, 3, 2), 0.25)
        await made.settle(reservation)
    book = UsageBook(store, ())
    rows = await book.of_user("ada", 1)
    assert [(row.model, row.calls, row.cost_usd) for row in rows] == [("a/x", 2, 0.5), ("b/y 1", 1, 0.25)]
    first = rows[0]
    assert (first.input_tokens, first.output_tokens) == (20, 10)
    assert (first.cache_read_tokens, first.cache_write_tokens) == (6, 4)
    assert [(row.user, row.model) for row in await book.of_all(1)] == [("ada", "a/x"), ("ada", "b/y 1"), ("bob", "a/x")]


async def test_nobody_and_no_day_is_nothing(store: Store) -> None:
    book = UsageBook(store, ())
    assert await book.of_user("ada", 400) == []
    assert await book.of_all(400) == []
    assert await book.standings(ADA) == []


async def test_more_users_than_fit_into_one_round_trip(limiter: MakeLimiter, store: Store) -> None:
    made = limiter()

    async def use(number: int) -> None:
        reservation = await ask(made, Principal(f"user-{number}", authenticated=True))
        reservation.record("m", Usage(1), 0.001)
        await made.settle(reservation)

    await asyncio.gather(*map(use, range(600)))
    rows = await UsageBook(store, ()).of_all(1)
    assert len(rows) == 600
    assert round(sum(row.cost_usd for row in rows), 9) == 0.6


async def test_it_is_not_kept_where_nobody_wants_it(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(usage_days=0)
    reservation = await reserve(made, "a", 0.1)
    reservation.record("m", Usage(1), 0.001)
    await made.settle(reservation)
    assert await store.call("KEYS", "{limits}:usage:*") == []


async def test_it_is_kept_for_as_long_as_asked(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(usage_days=2)
    reservation = await ask(made)
    reservation.record("m", Usage(1), 0.001)
    await made.settle(reservation)
    for key in await store.call("KEYS", "{limits}:usage:*"):
        assert 2 * 86_400 - 5 < await store.call("TTL", key) <= 2 * 86_400


async def test_a_standing_has_limit_spent_and_reserved(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(budget_user_day_usd=2.0, budget_team_month_tokens=500, budget_global_day_usd=7.0)
    core = Principal("ada", team="core", authenticated=True)
    await reserve(made, "a", 0.5, principal=core)
    book = made.usage
    user, team = await book.standings(core)
    (everyone,) = await book.global_standings()
    assert (user.budget, user.period, user.usd.limit, user.usd.reserved) == ("user", "day", 2.0, 0.5)
    assert (team.budget, team.period, team.tokens.limit, team.tokens.reserved) == ("team", "month", 500, 100)
    assert (everyone.budget, everyone.usd.limit, everyone.tokens.limit) == ("global", 7.0, None)
