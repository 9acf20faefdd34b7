"""Runs at once: counted until they end, and given back by those who cannot say that they ended."""

import pytest

from app.access.principal import Principal
from app.errors import RateLimited
from app.limits.limiter import Limiter
from tests.limits.conftest import MakeLimiter, brief
from tests.limits.stage import ADA, BOB, ask, limits, refused
from tests.limits.watched import WatchedStore, once_free


async def test_a_run_counts_until_it_is_over(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(user={"concurrent": 2}))
    first = await ask(made)
    await ask(made)
    error = await refused(made)
    assert error.members() == {"violated-policies": ["user-concurrent"]}
    assert error.retry_after == 1
    await ask(made, BOB)
    await made.settle(first)
    await ask(made)
    await refused(made)


async def test_everyone_and_each_operation_are_counted_too(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(everyone={"concurrent": 2}, chat={"concurrent": 1}))
    chat = await ask(made)
    assert (await refused(made)).members() == {"violated-policies": ["chat-concurrent"]}
    await ask(made, operation="agent")
    assert (await refused(made, BOB)).members() == {"violated-policies": ["global-concurrent"]}
    await made.settle(chat)
    await ask(made, BOB)


async def test_a_run_that_goes_on_keeps_its_place_for_longer_than_a_lease(
    limiter: MakeLimiter, store: WatchedStore
) -> None:
    made = limiter(limits=limits(user={"concurrent": 1}), lease_seconds=0.6)
    await ask(made)
    await store.renewed(5)
    await refused(made)


async def test_a_process_that_dies_gives_its_places_back_within_a_lease(store: WatchedStore) -> None:
    """This limiter does not run, as that of a dead process does not."""
    dead = Limiter(brief(limits=limits(user={"concurrent": 1}), lease_seconds=0.5), store)
    await ask(dead)
    await refused(dead)
    await once_free(lambda: ask(dead), RateLimited)


async def test_a_tool_called_by_hand_holds_a_place_while_it_runs(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(tools={"*": {"concurrent": 1}}))
    async with made.slot(ADA, "tool:clock") as headers:
        assert headers["RateLimit"] == '"tool:clock-concurrent";r=0'
        with pytest.raises(RateLimited):
            async with made.slot(ADA, "tool:clock"):
                pass
        async with made.slot(ADA, "tool:calculator"):
            pass

    async def again() -> None:
        async with made.slot(ADA, "tool:clock"):
            pass

    await once_free(again, RateLimited)  # given back in the background


async def test_a_limiter_that_is_closed_has_given_everything_back(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter(limits=limits(user={"concurrent": 5}))
    for reservation in [await ask(made) for _ in range(5)]:
        made.settle_later(reservation)
    await made.close()
    assert await store.call("ZCARD", "{limits}:running:user:ada") == 0


async def test_without_limits_nothing_is_asked(limiter: MakeLimiter, store: WatchedStore) -> None:
    made = limiter()
    reservation = await ask(made, Principal("ada"))
    await made.settle(reservation)
    assert await store.call("DBSIZE") == 0
