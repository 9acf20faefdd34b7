"""Requests a minute: exact over every minute, at three levels at once, whichever process asks."""

import asyncio
import json
import subprocess
import sys

from app.access.principal import Principal
from app.limits.headers import of_refusal
from app.state.redis import connect
from app.state.store import Store
from app.telemetry import metrics
from tests.limits.conftest import MakeLimiter
from tests.limits.stage import ADA, BOB, ask, limits, refused
from tests.redis_server import RedisServer
from tests.service import REPOSITORY


async def age(store: Store, key: str, seconds: float) -> None:
    """Let the entries of a rate be older than they are."""
    times = [int(entry) - int(seconds * 1000) for entry in await store.call("LRANGE", key, 0, -1)]
    await store.call("DEL", key)
    await store.call("RPUSH", key, *times)


async def test_a_user_is_limited_and_others_are_not(limiter: MakeLimiter) -> None:
    both = limiter(limits=limits(user={"per_minute": 2}))
    await ask(both)
    await ask(both)
    error = await refused(both)
    assert (error.status, error.slug) == (429, "rate-limited")
    assert error.retry_after is not None
    assert 58 <= error.retry_after <= 60
    assert error.members() == {"violated-policies": ["user"]}
    await ask(both, BOB)


async def test_operations_are_limited_each_by_itself(limiter: MakeLimiter) -> None:
    made = limiter(
        limits=limits(
            user={"per_minute": 9},
            chat={"per_minute": 1},
            agent={"per_minute": 1},
            tools={"clock": {"per_minute": 2}, "*": {"per_minute": 1}},
        )
    )
    for operation in ("chat", "agent", "tool:clock", "tool:clock", "tool:a", "tool:b"):
        await ask(made, operation=operation)
    for operation in ("chat", "agent", "tool:clock", "tool:a", "tool:b"):
        assert (await refused(made, operation=operation)).members() == {"violated-policies": [operation]}


async def test_everyone_together_is_limited_and_by_how_much_is_not_told(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(everyone={"per_minute": 1}))
    await ask(made)
    error = await refused(made, BOB)
    assert error.members() == {"violated-policies": ["global"]}
    assert of_refusal(error) == {}


async def test_a_request_that_one_level_refuses_uses_up_none(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(limits=limits(everyone={"per_minute": 100}, user={"per_minute": 100}, chat={"per_minute": 1}))
    await ask(made)
    for _ in range(5):
        await refused(made)
    assert await store.call("LLEN", "{limits}:rate:global") == 1
    assert await store.call("LLEN", "{limits}:rate:user:ada") == 1


async def test_an_admission_counts_for_sixty_seconds_and_no_longer(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(limits=limits(user={"per_minute": 3}))
    for _ in range(3):
        await ask(made)
    await age(store, "{limits}:rate:user:ada", 59)
    error = await refused(made)
    assert error.retry_after == 1
    await age(store, "{limits}:rate:user:ada", 1)
    for _ in range(3):
        await ask(made)
    await refused(made)


async def test_a_limit_that_was_lowered_holds_at_once(limiter: MakeLimiter) -> None:
    high, low = limiter(limits=limits(user={"per_minute": 5})), limiter(limits=limits(user={"per_minute": 2}))
    for _ in range(5):
        await ask(high)
    await refused(low)


async def test_tiers_have_limits_of_their_own_and_unknown_ones_those_of_default(limiter: MakeLimiter) -> None:
    tiers = {"default": {"user": {"per_minute": 1}}, "gold": {"user": {"per_minute": 2}}}
    made = limiter(limits=json.dumps({"tiers": tiers}))
    gold = Principal("midas", tier="gold", authenticated=True)
    other = Principal("odd", tier="unheard-of", authenticated=True)
    await ask(made, gold)
    await ask(made, gold)
    await refused(made, gold)
    await ask(made, other)
    await refused(made, other)


async def test_who_is_not_authenticated_counts_by_address_whatever_the_name(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(user={"per_minute": 1}))
    await ask(made, Principal("anonymous", address="192.0.2.1"))
    await refused(made, Principal("another", address="192.0.2.1"))
    await ask(made, Principal("anonymous", address="192.0.2.2"))


async def test_headers_tell_what_is_left(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(everyone={"per_minute": 50}, user={"per_minute": 3, "concurrent": 2}))
    reservation = made.reservation(ADA, "chat", "run")
    headers = await made.reserve(reservation, lambda _: None)
    assert headers["RateLimit-Policy"] == '"user";q=3;w=60, "user-concurrent";q=2;qu="concurrent-requests"'
    assert headers["RateLimit"] == '"user";r=2;t=60, "user-concurrent";r=1'


async def test_headers_of_a_refusal_tell_when_to_come_back(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(user={"per_minute": 1}))
    await ask(made)
    error = await refused(made)
    assert of_refusal(error) == {
        "RateLimit-Policy": '"user";q=1;w=60',
        "RateLimit": f'"user";r=0;t={error.retry_after}',
    }


async def test_refusals_are_counted_by_level(limiter: MakeLimiter) -> None:
    made = limiter(limits=limits(user={"per_minute": 1}))
    before = metrics.RATE_LIMITED.labels("user")._value.get()
    await ask(made)
    await refused(made)
    assert metrics.RATE_LIMITED.labels("user")._value.get() == before + 1


async def test_what_is_kept_ends_by_itself(limiter: MakeLimiter, store: Store) -> None:
    made = limiter(limits=limits(everyone={"per_minute": 5}, user={"per_minute": 5, "concurrent": 5}))
    await ask(made)
    for key in await store.call("KEYS", "*"):
        assert 0 < await store.call("TTL", key) <= 61, key


_HAMMER = """
import asyncio, json, sys, time
from app.errors import RateLimited
from app.limits.headers import of_refusal
from app.limits.limiter import Limiter
from app.access.principal import Principal
from app.settings import load
from app.state.redis import connect

async def main(url, limits, seconds, name):
    store = connect(url)
    limiter = Limiter(load(None, limits=limits), store)
    ada, admitted, end = Principal("ada", authenticated=True), 0, time.monotonic() + seconds
    while time.monotonic() < end:
        reservations = [limiter.reservation(ada, "chat", f"{name}-{time.monotonic_ns()}-{n}") for n in range(20)]
        done = await asyncio.gather(*(limiter.reserve(c, print) for c in reservations), return_exceptions=True)
        assert all(isinstance(d, (dict, RateLimited)) for d in done), done
        admitted += sum(isinstance(d, dict) for d in done)
    print(admitted)
    await store.aclose()

asyncio.run(main(sys.argv[1], sys.argv[2], float(sys.argv[3]), sys.argv[4]))
"""


async def test_three_processes_together_admit_what_the_limit_says(redis_server: RedisServer) -> None:
    """Most of the minute before is full; what was admitted in it becomes free while they hammer."""
    limit, seconds = 1000, 3.0
    redis_server.ask("FLUSHALL")
    store = connect(redis_server.url)
    clock = await store.call("TIME")
    now = int(clock[0]) * 1000 + int(clock[1]) // 1000
    # 1,000 admissions that end 0 to 60 s from now, evenly; the processes are to get the places as they become free
    await store.call("RPUSH", "{limits}:rate:user:ada", *(now - 60_000 + 60 * n for n in range(limit)))
    arguments = [redis_server.url, limits(user={"per_minute": limit}), str(seconds)]

    def hammer(name: str) -> int:
        command = [sys.executable, "-c", _HAMMER, *arguments, name]
        return int(subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True).stdout)

    admitted = sum(await asyncio.gather(*(asyncio.to_thread(hammer, name) for name in "abc")))
    entries = [int(entry) for entry in await store.call("LRANGE", "{limits}:rate:user:ada", 0, -1)]
    clock = await store.call("TIME")
    await store.aclose()
    last = entries[-1]
    assert last > now
    free_by_then = sum(1 for n in range(limit) if now - 60_000 + 60 * n <= last - 60_000)
    assert len(entries) <= limit
    assert admitted <= free_by_then
    assert admitted >= 0.99 * free_by_then - 1
    assert admitted > 30
