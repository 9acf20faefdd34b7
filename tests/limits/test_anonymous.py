"""Callers without credentials: their tier, their share of the budgets, and what of them is kept."""

import asyncio
from typing import Any

import pytest

from app.access.names import anonymous
from app.access.principal import ANONYMOUS_TIER, Principal
from app.errors import BudgetExceeded, ConfigurationError, RateLimited
from app.limits import tiers
from app.limits.budgets import anonymous_budgets
from app.limits.headers import of_refusal
from app.messages import NANOS, Usage
from app.settings import load
from app.state.store import Store
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import ADA, ask, limits, parse, reserve


def stranger(address: str = "192.0.2.1", name: str = anonymous(), peer: str = "") -> Principal:
    return Principal(name, tier=ANONYMOUS_TIER, address=address, peer=peer)


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, [("user", 25.0, None, True), ("peer", 75.0, None, True), ("global", 100.0, None, False)]),
        ({"budget_anonymous_share": "off"}, [("global", 100.0, None, False)]),
        ({"budget_global_day_usd": "off"}, []),
        (
            {"budget_user_day_usd": 5, "budget_global_day_tokens": 1_000},
            [("user", 5.0, 250, False), ("peer", 75.0, 750, True), ("global", 100.0, 1_000, False)],
        ),
        (
            {"budget_user_day_usd": 90, "budget_anonymous_share": 0.5},
            [("user", 50.0, None, False), ("peer", 100.0, None, True), ("global", 100.0, None, False)],
        ),
    ],
)
def test_an_address_has_a_share_of_the_budget_of_all(settings: dict[str, Any], expected: list[Any]) -> None:
    found = anonymous_budgets(load(None, **settings))
    amounts = [(one.scope, one.nanos / NANOS, one.tokens if one.tokens >= 0 else None, one.share) for one in found]
    assert amounts == expected


@pytest.mark.parametrize("share", [0, 1.5, "nan", "half"])
def test_a_share_that_is_none_stops_the_start(share: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BUDGET_ANONYMOUS_SHARE", str(share))
    with pytest.raises(ConfigurationError, match=r"^BUDGET_ANONYMOUS_SHARE: "):
        load(None)


@pytest.mark.parametrize("name", ["anonymous_per_minute", "anonymous_concurrent", "refused_per_minute"])
def test_what_an_address_may_do_can_be_set_or_switched_off(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert getattr(load(None), name) >= 100
    monkeypatch.setenv(name.upper(), "off")
    assert getattr(load(None), name) is None
    monkeypatch.setenv(name.upper(), "0")
    with pytest.raises(ConfigurationError, match=f"^{name.upper()}: "):
        load(None)


async def test_each_address_has_its_own_share_and_users_with_credentials_have_none(limiter: MakeLimiter) -> None:
    made = limiter(budget_global_day_usd=1.0)
    await reserve(made, "a", 0.25, principal=stranger())
    with pytest.raises(BudgetExceeded) as caught:
        await reserve(made, "b", 0.01, principal=stranger(name="another"))
    assert "share" in caught.value.detail
    await reserve(made, "c", 0.25, principal=stranger("192.0.2.2"))
    await reserve(made, "d", 0.5, principal=ADA)


async def test_a_proxy_has_three_shares_for_all_that_it_tells(limiter: MakeLimiter) -> None:
    made = limiter(budget_global_day_usd=1.0)
    for number in range(3):
        await reserve(made, f"run-{number}", 0.25, principal=stranger(f"192.0.2.{number}", peer="10.0.0.1"))
    with pytest.raises(BudgetExceeded) as caught:
        await reserve(made, "more", 0.01, principal=stranger("192.0.2.99", peer="10.0.0.1"))
    assert caught.value.scope == "peer"
    await reserve(made, "other", 0.25, principal=stranger("192.0.2.99", peer="10.0.0.2"))


async def test_a_proxy_has_ten_times_the_rates_and_runs_of_an_address(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(user={"per_minute": 2}, chat={"concurrent": 1}))
    for number in range(10):
        await ask(made, stranger(f"192.0.2.{number}", peer="10.0.0.1"))
    with pytest.raises(RateLimited) as caught:
        await ask(made, stranger("192.0.2.99", peer="10.0.0.1"))
    assert caught.value.policy == "peer-chat-concurrent"
    assert of_refusal(caught.value) == {}
    for number in range(10):
        await ask(made, stranger(f"198.51.100.{number}", peer="10.0.0.1"), "agent")
    with pytest.raises(RateLimited) as caught:
        await ask(made, stranger("198.51.100.99", peer="10.0.0.1"), "agent")
    assert caught.value.policy == "peer-user"
    await ask(made, stranger("198.51.100.99"), "agent")


def test_a_tier_of_their_own_or_that_of_all() -> None:
    own = parse({"tiers": {"anonymous": {"user": {"per_minute": 1}}, "default": {"user": {"per_minute": 2}}}})
    assert own.tier(ANONYMOUS_TIER).user.per_minute == 1
    assert parse({"tiers": {"default": {"user": {"per_minute": 2}}}}).tier(ANONYMOUS_TIER).user.per_minute == 2


def test_reading_is_a_request_and_no_run() -> None:
    made = parse(
        {
            "tiers": {
                "default": {"user": {"per_minute": 9, "concurrent": 1}, "sessions": {"per_minute": 3, "concurrent": 2}}
            }
        }
    )
    rules = tiers.rules(made, "default", "sessions")
    assert [(rule.policy, rule.most) for rule in rules.rates] == [("user", 9), ("sessions", 3)]
    assert [(rule.policy, rule.most) for rule in rules.concurrent] == [("sessions-concurrent", 2)]
    assert tiers.rules(made, "default", "usage").concurrent == ()


async def test_the_usage_of_made_up_names_is_kept_with_their_address(limiter: MakeLimiter, store: Store) -> None:
    made = limiter()

    async def use(principal: Principal) -> None:
        reservation = await ask(made, principal)
        reservation.record("m 1", Usage(3, 2), 0.001, uncertain=principal.user == "ada")
        await made.settle(reservation)

    await asyncio.gather(*(use(stranger(name=f"name-{number}")) for number in range(300)))
    await use(stranger(name="ada"))
    await use(stranger("192.0.2.2", name="ada"))
    assert len(await store.call("KEYS", "{limits}:usage:*")) == 3
    assert await store.call("HLEN", (await _usage_key(store, "192.0.2.1"))) <= 710
    book = made.usage
    [row] = await book.of_caller(stranger(name="name-7"), 1)
    assert (row.user, row.model, row.calls, row.input_tokens, row.uncertain_tokens) == ("name-7", "m 1", 1, 3, 0)
    [row] = await book.of_caller(stranger("192.0.2.2", name="ada"), 1)
    assert (row.user, row.calls, row.uncertain_tokens) == ("ada", 1, 5)
    rows = await book.of_all(1)
    assert sum(row.calls for row in rows) == 302
    [rest] = await book.of_caller(stranger(), 1)
    assert rest.calls > 100


async def _usage_key(store: Store, address: str) -> str:
    return next(str(key.decode()) for key in await store.call("KEYS", f"{{limits}}:usage:*:address:{address}"))


async def test_addresses_beyond_a_thousand_a_day_are_counted_together(limiter: MakeLimiter, store: Store) -> None:
    made = limiter()

    async def use(number: int) -> None:
        reservation = await ask(made, stranger(f"10.0.{number // 256}.{number % 256}", name=f"name-{number}"))
        reservation.record("m", Usage(1), 0.001)
        await made.settle(reservation)

    await asyncio.gather(*map(use, range(1_050)))
    assert len(await store.call("KEYS", "{limits}:usage:*")) == 1 + 1_000 + 1
    assert sum(row.calls for row in await made.usage.of_all(1)) == 1_050
    await use(3)
    [row] = await made.usage.of_caller(stranger("10.0.0.3", name="name-3"), 1)
    assert row.calls == 2


async def test_a_share_is_told_once_something_was_used_of_it(limiter: MakeLimiter, store: Store) -> None:
    made = limiter()
    book = made.usage
    assert await book.standings(stranger()) == []
    await reserve(made, "a", 0.5, principal=stranger())
    (user,) = await book.standings(stranger())
    assert (user.budget, user.usd.limit, user.usd.reserved) == ("user", 25.0, 0.5)
