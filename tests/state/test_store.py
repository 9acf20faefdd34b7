"""What every store does, the one on a server and the one in this process alike."""

import asyncio
import random

import hiredis
import pytest

from app.errors import ConfigurationError, StateUnavailable
from app.state.in_process import InProcessStore
from app.state.redis import connect
from app.state.store import Script, Store

ADD = "return redis.call('INCRBY', KEYS[1], ARGV[1])"


async def test_replies_are_as_the_protocol_has_them(store: Store) -> None:
    assert await store.call("PING") == b"PONG"
    assert await store.call("SET", "key", "välue") == b"OK"
    assert await store.call("GET", "key") == "välue".encode()
    assert await store.call("GET", "nothing") is None
    assert await store.call("INCRBY", "number", 41) == 41
    assert await store.call("GET", b"number") == b"41"
    assert await store.call("EXISTS", "nothing") == 0
    assert await store.call("TTL", "key") == -1


async def test_lists(store: Store) -> None:
    assert await store.call("RPUSH", "list", b"\x00\xff", "two", 3, 4.5) == 4
    assert await store.call("LRANGE", "list", 0, -1) == [b"\x00\xff", b"two", b"3", b"4.5"]
    assert await store.call("LRANGE", "list", -2, -1) == [b"3", b"4.5"]
    assert await store.call("LRANGE", "nothing", 0, -1) == []


async def test_a_large_value_comes_back_whole(store: Store) -> None:
    large = random.Random(1).randbytes(3_000_000)
    await store.call("SET", "large", large)
    assert await store.call("GET", "large") == large


async def test_a_script_runs_whether_or_not_the_server_knows_it(store: Store) -> None:
    add = Script(store, ADD)
    assert await add(("sum",), 1) == 1
    assert await add(("sum",), 2) == 3
    await store.call("SCRIPT", "FLUSH")
    assert await add(("sum",), 3) == 6


async def test_what_a_script_replies(store: Store) -> None:
    replies = Script(store, "return {1, 'two', false, {3, '4'}}")
    assert await replies(()) == [1, b"two", None, [3, b"4"]]
    assert await Script(store, "redis.call('SET', KEYS[1], 'x')")(("key",)) is None


@pytest.mark.parametrize("command", [("INCR", "list"), ("NONSENSE",), ("EVALSHA", "0" * 40, 0), ("GET",)])
async def test_an_error_of_the_server_is_unavailable_and_its_words_are_the_cause(
    store: Store, command: tuple[str, ...]
) -> None:
    await store.call("RPUSH", "list", "a")
    with pytest.raises(StateUnavailable) as caught:
        await store.call(*command)
    assert isinstance(caught.value.__cause__, hiredis.ReplyError)
    assert str(caught.value.__cause__) not in caught.value.detail
    assert await store.call("PING") == b"PONG"


async def test_an_error_in_a_script_is_raised_and_not_tried_again(store: Store) -> None:
    count_and_fail = Script(store, "redis.call('INCR', KEYS[1]); return redis.call('LPUSH', KEYS[1], 'x')")
    with pytest.raises(StateUnavailable, match="does not answer"):
        await count_and_fail(("key",))
    assert await store.call("GET", "key") == b"1"


async def test_many_commands_at_once_keep_their_order(store: Store) -> None:
    lengths = await asyncio.gather(*(store.call("RPUSH", "list", number) for number in range(500)))
    assert lengths == list(range(1, 501))
    assert await store.call("LRANGE", "list", 0, -1) == [b"%d" % number for number in range(500)]


async def test_many_callers_at_once_get_each_their_own_reply(store: Store) -> None:
    async def caller(name: str) -> None:
        for turn in range(20):
            assert await store.call("ECHO", f"{name}-{turn}") == f"{name}-{turn}".encode()

    async with asyncio.TaskGroup() as group:
        for name in range(50):
            group.create_task(caller(str(name)))


@pytest.mark.parametrize("seed", range(5))
async def test_callers_who_leave_do_not_shift_the_replies_of_others(store: Store, seed: int) -> None:
    chance = random.Random(seed)

    async def ask(number: int) -> object:
        await asyncio.sleep(chance.random() / 100)
        return await store.call("ECHO", str(number))

    tasks = [asyncio.create_task(ask(number)) for number in range(200)]
    for task in chance.sample(tasks, 80):
        await asyncio.sleep(chance.random() / 2000)
        task.cancel()
    replies = await asyncio.gather(*tasks, return_exceptions=True)
    for number, reply in enumerate(replies):
        assert reply == str(number).encode() or isinstance(reply, asyncio.CancelledError)
    assert await store.call("ECHO", "after") == b"after"


def test_without_an_address_the_store_is_in_the_process() -> None:
    assert isinstance(connect(None), InProcessStore)


@pytest.mark.parametrize("url", ["http://host", "redis://host:port", "redis://host:99999", "redis://host/?db=one"])
def test_an_address_that_cannot_be_read_is_named_at_the_start(url: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL: "):
        connect(url)


async def test_keys_that_nobody_asks_for_again_do_not_stay_in_the_process() -> None:
    store = InProcessStore()
    for number in range(1500):
        await store.call("SET", f"key-{number}", "x", "PX", 1)
    await asyncio.sleep(0.01)
    for _ in range(500):
        await store.call("PING")
    [database] = store.server.dbs.values()
    assert len(database._dict) == 0


async def test_a_caller_that_is_cancelled_ends_at_once_and_what_it_sent_is_carried_out(store: Store) -> None:
    await store.call("SET", "sum", 0)

    async def add() -> None:
        while True:
            await store.call("INCRBY", "sum", 1)

    for turns in range(1, 40):
        adding = [asyncio.create_task(add()) for _ in range(5)]
        for _ in range(turns):
            await asyncio.sleep(0)
        for task in adding:
            task.cancel()
        done, late = await asyncio.wait(adding, timeout=1)
        assert not late
        assert all(task.cancelled() for task in done)
    total = int(await store.call("GET", "sum"))
    assert total >= 39 * 5 - 5
    assert await store.call("INCRBY", "sum", 1) == total + 1
