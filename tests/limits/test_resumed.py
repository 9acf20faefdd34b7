"""A reservation is a value: another process renews and settles it, and nothing counts twice."""

from typing import Any

import msgspec

from app.errors import BudgetExceeded, RateLimited
from app.limits.allowance import Growth
from app.limits.limiter import Limiter
from app.limits.reservation import Held, Reservation
from app.messages import NANOS, Usage
from tests.limits.conftest import brief
from tests.limits.stage import ADA, ask, limits, over_budget, refused, reserve, standing
from tests.limits.watched import WatchedStore, once_free

SETTINGS: dict[str, Any] = {"budget_user_day_usd": 1.0, "limits": limits(user={"concurrent": 1, "per_minute": 2})}
STEP = (Usage(10, 5), 0.1)


def process(store: WatchedStore, **settings: Any) -> Limiter:
    return Limiter(brief(**{**SETTINGS, **settings}), store)


def written_down(reservation: Reservation) -> Held:
    """As a journal would keep it."""
    return msgspec.json.decode(msgspec.json.encode(reservation.held), type=Held)


async def resumed(limiter: Limiter, held: Held) -> Reservation:
    reservation = limiter.resume(ADA, held)
    await limiter.reserve(reservation, lambda _: None)
    return reservation


async def test_another_process_settles_the_rest_and_releases_it(store: WatchedStore) -> None:
    first, second = process(store), process(store)
    reservation = await reserve(first, "a", 0.8, tokens=200)
    for _ in range(2):
        reservation.record("m", *STEP)
        await first.settle(reservation, over=False)
    held = written_down(reservation)
    assert (held.run_id, held.steps, held.spent) == ("a", 2, (30, NANOS // 5))
    del first, reservation

    reservation = await resumed(second, held)
    assert (reservation.allowance.tokens, reservation.allowance.nanos) == (170, NANOS * 6 // 10)
    assert (reservation.allowance.most_tokens, reservation.allowance.most_nanos) == (170, NANOS * 6 // 10)
    await refused(second)  # it still has its place among the runs
    reservation.record("m", *STEP)
    await second.settle(reservation)
    user = (await standing(second))["user"]
    assert (user.usd.spent, user.usd.reserved, user.tokens.spent, user.tokens.reserved) == (0.3, 0, 45, 0)
    (row,) = await second.usage.of_user("ada", 1)
    assert (row.calls, row.cost_usd) == (3, 0.3)
    await ask(second)  # and has given it back


async def test_a_step_that_is_told_again_counts_once(store: WatchedStore) -> None:
    """The first process dies after it has settled its second step, and before it wrote that down."""
    first, second = process(store), process(store)
    reservation = await reserve(first, "a", 0.8, tokens=200)
    reservation.record("m", *STEP)
    await first.settle(reservation, over=False)
    held = written_down(reservation)
    reservation.record("m", *STEP)
    await first.settle(reservation, over=False)

    reservation = await resumed(second, held)
    for _ in range(2):
        reservation.record("m", *STEP)
    store.lose = 1  # and the reply to this is lost
    await second.settle(reservation)
    await second.settle(reservation)
    user = (await standing(second))["user"]
    assert (user.usd.spent, user.usd.reserved, user.tokens.spent) == (0.3, 0, 45)


async def test_what_a_lease_has_freed_is_reserved_anew_by_growing(store: WatchedStore) -> None:
    first, second = process(store, lease_seconds=0.05), process(store)
    reservation = await reserve(first, "a", 0.8)
    reservation.record("m", *STEP)
    await first.settle(reservation, over=False)
    rival = await once_free(lambda: reserve(second, "b", 0.6), (BudgetExceeded, RateLimited))
    held = written_down(reservation)
    reservation = await resumed(second, held)
    assert reservation.allowance.nanos == 0
    await second.settle(reservation, Growth((10, NANOS // 2), (10, NANOS // 2)), over=False)
    assert isinstance(reservation.refusal, BudgetExceeded)
    await second.settle(rival)
    await second.settle(reservation, Growth((10, NANOS // 2), (10, NANOS // 2)), over=False)
    assert reservation.refusal is None
    assert reservation.allowance.nanos == NANOS // 2


async def test_a_run_that_was_given_back_goes_on_later(store: WatchedStore) -> None:
    """As one that waits for somebody's decision."""
    first, second = process(store), process(store)
    reservation = await reserve(first, "a", 0.8)
    reservation.record("m", *STEP)
    await first.settle(reservation)
    held = written_down(reservation)
    assert held.day == ""

    reservation = await resumed(second, held)
    await second.renew(reservation)
    await refused_place(second)
    await second.settle(reservation, Growth((20, NANOS // 2), (20, NANOS // 2)), over=False)
    assert (await standing(second))["user"].usd.reserved == 0.5
    reservation.record("m", *STEP)
    await second.settle(reservation)
    user = (await standing(second))["user"]
    assert (user.usd.spent, user.usd.reserved) == (0.2, 0)


async def refused_place(limiter: Limiter) -> None:
    assert (await refused(limiter)).policy == "user-concurrent"


async def test_it_keeps_to_the_day_it_was_admitted_on(store: WatchedStore) -> None:
    first, second = process(store), process(store)
    reservation = await reserve(first, "a", 0.8)
    today = reservation.day
    await store.call("RENAME", f"{{limits}}:budget:user:ada:{today}", "{limits}:budget:user:ada:2020-02-29")
    reservation.day = "2020-02-29"
    reservation = await resumed(second, written_down(reservation))
    reservation.record("m", *STEP)
    await second.settle(reservation)
    spent, reserved = await store.call("HMGET", "{limits}:budget:user:ada:2020-02-29", "sc", "rc")
    assert (int(spent), int(reserved)) == (NANOS // 10, 0)
    await over_budget(second, "b", 1.1)
