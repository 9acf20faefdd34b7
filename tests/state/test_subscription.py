"""What the store tells unasked, over one connection a process, made anew after it broke."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.state import subscription as subscriptions
from app.state.redis import connect
from app.state.store import Store
from app.state.subscription import Subscription, subscription
from tests.logged import capture_logs
from tests.redis_server import RedisServer


class Heard:
    """Keeps what it hears."""

    def __init__(self) -> None:
        self.messages: list[bytes] = []
        self.misses = 0

    def heard(self, message: bytes) -> None:
        self.messages.append(message)

    def missed(self) -> None:
        self.misses += 1


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - for a few ms
            await asyncio.sleep(0.005)


@asynccontextmanager
async def listening(store: Store, *channels: str) -> AsyncIterator[tuple[Subscription, list[Heard]]]:
    heard = [Heard() for _ in channels]
    subscribed = subscription(store)
    for channel, listener in zip(channels, heard, strict=True):
        subscribed.add(channel, listener)
    try:
        yield subscribed, heard
    finally:
        await subscribed.aclose()


async def test_each_listener_hears_its_channel_in_order(store: Store) -> None:
    async with listening(store, "a", "b") as (subscribed, (a, b)):
        await until(lambda: a.misses == b.misses == 1)
        for number in range(20):
            await store.call("PUBLISH", "ab"[number % 2], number)
        await store.call("EVAL", "return redis.call('PUBLISH', 'a', 'from\\na script')", 0)
        await until(lambda: len(a.messages) == 11)
        assert b.messages == [b"%d" % number for number in range(1, 20, 2)]
        assert a.messages == [*(b"%d" % number for number in range(0, 20, 2)), b"from\na script"]
        late = Heard()
        subscribed.remove("a")
        subscribed.add("c", late)
        await until(lambda: late.misses == 1)
        assert await store.call("PUBLISH", "a", "nobody") == 0
        assert await store.call("PUBLISH", "c", "x") == 1
        await until(lambda: late.messages == [b"x"])
        subscribed.remove("never added")


async def test_a_process_without_listeners_has_no_connection(redis_server: RedisServer) -> None:
    store = connect(redis_server.url)
    subscribed = subscription(store)
    await store.call("PING")
    before = redis_server.ask("CLIENT LIST").count(b"laddr=")
    async with listening(store, *(f"channel-{number}" for number in range(100))) as (_, heard):
        await until(lambda: all(each.misses for each in heard))
        assert redis_server.ask("CLIENT LIST").count(b"laddr=") == before + 1
    await subscribed.aclose()
    await store.aclose()


async def test_after_a_break_it_listens_again_and_says_what_may_be_missed(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    with capture_logs() as lines:
        await _break(store, mortal_redis, lines)
    assert [line["event"] for line in lines] == ["subscription.broken"]
    await store.aclose()


async def _break(store: Store, mortal_redis: RedisServer, lines: list[dict[str, Any]]) -> None:
    async with listening(store, "a") as (subscribed, (a,)):
        await until(lambda: a.misses == 1)
        mortal_redis.stop()
        late = Heard()
        subscribed.add("late", late)
        await until(lambda: bool(lines))
        mortal_redis.start()
        await until(lambda: a.misses == 2 and late.misses == 1)
        mortal_redis.ask("PUBLISH a x")
        await until(lambda: a.messages == [b"x"])


async def test_a_server_that_hangs_is_left(mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subscriptions, "ANSWER_SECONDS", 0.1)
    store = connect(mortal_redis.url)
    async with listening(store, "a") as (_, (a,)):
        await until(lambda: a.misses == 1)
        await asyncio.sleep(0.3)
        assert a.misses == 1, "silence alone is no reason"
        mortal_redis.freeze()
        await asyncio.sleep(0.3)
        mortal_redis.thaw()
        await until(lambda: a.misses == 2)
    await store.aclose()


async def test_a_channel_that_the_server_forbids_is_said(redis_server: RedisServer) -> None:
    redis_server.ask("ACL SETUSER deaf on >secret ~* resetchannels +@all")
    store = connect(redis_server.url.replace("redis://", "redis://deaf:secret@"))
    with capture_logs() as lines:
        async with listening(store, "a") as (_, (a,)):
            await until(lambda: bool(lines))
            assert a.misses == 0
    assert [line["event"] for line in lines] == ["subscription.refused"]
    await store.aclose()


async def test_silence_costs_nothing(store: Store) -> None:
    async with listening(store, "a") as (_, (a,)):
        await until(lambda: a.misses == 1)
        before = time.process_time()
        await asyncio.sleep(0.2)
        assert time.process_time() - before < 0.1
