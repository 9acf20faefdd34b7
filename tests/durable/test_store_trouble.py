"""A store that is away, forgets everything, takes no writes, or allows less than usual."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.durable.record import RunTaken, Write
from app.durable.records import Records
from app.errors import StateUnavailable
from app.state.redis import connect
from app.state.store import Store
from tests import redis_server as redis
from tests.durable.stage import OWNER, begun, end, events, new_run, process, queued, steps
from tests.redis_server import RedisServer

WRITES: dict[str, Callable[[Records], Awaitable[object]]] = {
    "create": lambda records: records.create(new_run("new")),
    "claim": lambda records: records.claim("queued"),
    "cancel": lambda records: records.cancel(OWNER, "queued"),
}
READS: dict[str, Callable[[Records], Awaitable[object]]] = {
    "read": lambda records: records.read(OWNER, "queued"),
    "list": lambda records: records.list(OWNER),
    "events": lambda records: records.events(OWNER, "queued", 0),
    "due": lambda records: records.due(),
    "age": lambda records: records.queue_age(),
}


@asynccontextmanager
async def on(server: RedisServer) -> AsyncIterator[tuple[Store, Records]]:
    store = connect(server.url)
    yield store, process(store)
    await store.aclose()


async def test_a_store_that_takes_no_writes_is_unavailable_and_still_read(mortal_redis: RedisServer) -> None:
    async with on(mortal_redis) as (store, records):
        await queued(records, "queued")
        claim = await begun(records, "going-on")
        await store.call("CONFIG", "SET", "min-replicas-to-write", 1)
        for write in WRITES.values():
            with pytest.raises(StateUnavailable):
                await write(records)
        with pytest.raises(StateUnavailable):
            await records.write(Write(claim, **steps(1), **events(1)))
        with pytest.raises(StateUnavailable):
            await records.renew([claim])
        for read in READS.values():
            await read(records)
        await store.call("CONFIG", "SET", "min-replicas-to-write", 0)
        assert await records.read(OWNER, "new") is None
        await records.write(Write(claim, **steps(1), **events(1)))
        await end(records, claim, 2)


async def test_a_store_that_is_away_is_unavailable(mortal_redis: RedisServer) -> None:
    async with on(mortal_redis) as (_, records):
        claim = await begun(records, "a")
        mortal_redis.stop()
        for call in (*WRITES.values(), *READS.values(), Records.volatile):
            with pytest.raises(StateUnavailable):
                await call(records)
        with pytest.raises(StateUnavailable):
            await records.write(Write(claim, **steps(1)))


async def test_a_store_that_came_back_empty_ends_what_went_on(mortal_redis: RedisServer) -> None:
    async with on(mortal_redis) as (store, records):
        claim = await begun(records, "a")
        mortal_redis.stop()
        mortal_redis.start()
        with pytest.raises(StateUnavailable):
            await records.renew([claim])  # the connection broke with it
        assert await records.renew([claim]) == []
        with pytest.raises(RunTaken) as caught:
            await records.write(Write(claim, **steps(1), **events(1)))
        assert caught.value.lost
        assert await records.due() == []
        assert await store.call("DBSIZE") == 0


async def test_a_server_that_forbids_channels_keeps_runs_all_the_same(redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    redis_server.ask("ACL SETUSER mute on >secret ~* resetchannels +@all")
    store = connect(redis_server.url.replace("redis://", "redis://mute:secret@"))
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **events(1)))
    assert await records.cancel(OWNER, "a") == "running"
    await end(records, claim, 2)
    assert len(await records.events(OWNER, "a", 0)) == 2
    await store.aclose()


async def test_a_server_with_an_append_only_file_is_durable(tmp_path: Path) -> None:
    if redis.BINARY is None:
        pytest.skip(redis.MISSING)
    server = RedisServer(tmp_path, "--appendonly", "yes")
    server.start()
    async with on(server) as (_, records):
        assert not await records.volatile()
    server.stop()


async def test_a_server_that_does_not_say_whether_it_is_durable_is_not(redis_server: RedisServer) -> None:
    redis_server.ask("ACL SETUSER asker on >secret ~* &* +@all -info")
    store = connect(redis_server.url.replace("redis://", "redis://asker:secret@"))
    assert await process(store).volatile()
    await store.aclose()
