"""Readers of a run see each of its events once and in order, wherever they begin and whatever gets lost."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.durable import following as module
from app.durable.follower import MOST_WAITING, Follower
from app.durable.following import Following
from app.durable.record import Claim, News, Numbered, Write
from app.durable.records import Records
from app.errors import EventsGone, NotFound, StateUnavailable
from app.state.redis import connect
from app.state.store import Store
from app.state.subscription import subscription
from tests.durable.stage import OWNER, begun, end, event, events, new_run, process, queued
from tests.limits.watched import until
from tests.redis_server import RedisServer


@asynccontextmanager
async def reading(store: Store, records: Records | None = None) -> AsyncIterator[Following]:
    """A process with readers."""
    following = Following(records or process(store), subscription(store))
    try:
        yield following
    finally:
        await following.aclose()


async def read(following: Following, run_id: str, after: int = 0, seen: list[int] | None = None) -> list[int]:
    seen = [] if seen is None else seen
    async with aclosing(following.follow(OWNER, run_id, after)) as batches:
        async for batch in batches:
            seen += [number for number, _ in batch]
    return seen


async def write_slowly(records: Records, claim: Claim, count: int) -> None:
    for number in range(1, count):
        await records.write(Write(claim, **events(number)))
        await asyncio.sleep(0)
    await end(records, claim, count)


async def test_readers_in_another_process_miss_nothing_wherever_they_begin(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    async with reading(store) as following:
        readers = [asyncio.create_task(read(following, "a", after)) for after in (0,) * 5]
        writing = asyncio.create_task(write_slowly(records, claim, 60))
        await until(lambda: following.followers == 5)
        readers += [asyncio.create_task(read(following, "a")) for _ in range(5)]
        async with asyncio.timeout(10):
            seen = await asyncio.gather(*readers)
        await writing
        assert seen == [list(range(1, 61))] * 10
        assert following.followers == 0


async def test_a_reader_that_is_cut_at_each_event_and_comes_back_elsewhere_sees_all(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    writing = asyncio.create_task(write_slowly(records, claim, 20))
    seen: list[int] = []
    async with reading(store) as one, reading(store) as other:
        while len(seen) < 20:
            async with aclosing((one, other)[len(seen) % 2].follow(OWNER, "a", len(seen))) as batches:
                async for batch in batches:
                    seen.append(batch[0][0])
                    break
    await writing
    assert seen == list(range(1, 21))


async def test_a_run_that_is_over_is_told_and_ends(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await write_slowly(records, claim, 5)
    async with reading(store) as following, asyncio.timeout(5):
        assert [await read(following, "a", after) for after in (0, 3, 5)] == [[1, 2, 3, 4, 5], [4, 5], []]
        with pytest.raises(EventsGone):
            await read(following, "a", 6)
        with pytest.raises(NotFound):
            await read(following, "b")
        assert following.followers == 0


async def test_a_run_that_nobody_began_ends_for_its_readers_when_it_is_cancelled(store: Store) -> None:
    records = process(store)
    await queued(records, "a")
    async with reading(store) as following:
        reader = asyncio.create_task(read(following, "a"))
        await until(lambda: following.followers == 1)
        await records.cancel(OWNER, "a")
        async with asyncio.timeout(5):
            assert await reader == [1]


async def test_more_events_than_a_page_has_are_read_page_by_page(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **events(1, 2_500)))
    await end(records, claim, 2_501)
    async with reading(store) as following, asyncio.timeout(5):
        assert await read(following, "a", 3) == list(range(4, 2_502))


async def test_readers_of_a_run_here_need_no_channel(redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    store = connect(redis_server.url)
    records = process(store)
    claim = (await records.create(new_run("a", here=True))).claim
    assert claim is not None
    async with reading(store, records) as following:
        following.works_on("a")
        seen: list[int] = []
        reader = asyncio.create_task(read(following, "a", seen=seen))
        await until(lambda: following.followers == 1)
        for number in range(1, 4):
            await records.write(Write(claim, **events(number)))
            following.tell("a", number, [event(number)])
            await until(lambda number=number: seen == list(range(1, number + 1)))  # type: ignore[misc]
        assert b"run:a:news" not in redis_server.ask("PUBSUB CHANNELS *")
        following.leaves("a")
        await until(lambda: b"run:a:news" in redis_server.ask("PUBSUB CHANNELS *"))
        await end(process(store), claim, 4)
        async with asyncio.timeout(5):
            assert await reader == [1, 2, 3, 4]
    await store.aclose()


async def test_a_thousand_readers_share_one_connection(redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    store = connect(redis_server.url)
    records = process(store)
    claims = [await begun(records, f"run-{at}") for at in range(100)]
    before = redis_server.ask("INFO clients").partition(b"connected_clients:")[2].partition(b"\r")[0]
    async with reading(store) as following:
        readers = [asyncio.create_task(read(following, f"run-{at % 100}")) for at in range(1_000)]
        await until(lambda: following.followers == 1_000)
        await asyncio.gather(*(records.write(Write(claim, **events(1, 3))) for claim in claims))
        after = redis_server.ask("INFO clients").partition(b"connected_clients:")[2].partition(b"\r")[0]
        assert int(after) <= int(before) + 1
        await asyncio.gather(*(end(records, claim, 4) for claim in claims))
        async with asyncio.timeout(10):
            assert await asyncio.gather(*readers) == [[1, 2, 3, 4]] * 1_000
    await store.aclose()


async def test_what_no_message_told_is_found_after_a_while(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    records = process(store)
    claim = await begun(records, "a")
    deaf = _Deaf()
    following = Following(process(store), deaf)  # type: ignore[arg-type]
    reader = asyncio.create_task(read(following, "a"))
    await until(lambda: following.followers == 1)
    await write_slowly(records, claim, 5)
    async with asyncio.timeout(5):
        assert await reader == [1, 2, 3, 4, 5]
    await following.aclose()


class _Deaf:
    """Stands for a server that forbids channels."""

    def add(self, *_: object) -> None: ...
    def remove(self, *_: object) -> None: ...
    async def aclose(self) -> None: ...


async def test_a_run_that_the_store_has_lost_ends_with_an_error(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "POLL_SECONDS", 0.05)
    records = process(store)
    await begun(records, "a")
    async with reading(store) as following:
        reader = asyncio.create_task(read(following, "a"))
        await until(lambda: following.followers == 1)
        await store.call("FLUSHALL")
        with pytest.raises(NotFound):
            async with asyncio.timeout(5):
                await reader


async def test_readers_wait_for_a_store_that_is_away(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_AWAY_SECONDS", 0.8)
    store = connect(mortal_redis.url)
    records = process(store)
    await begun(records, "a")
    async with reading(store) as following:
        reader = asyncio.create_task(read(following, "a"))
        await until(lambda: following.followers == 1)
        await asyncio.sleep(0.1)
        mortal_redis.stop()
        late = asyncio.create_task(read(following, "a"))
        with pytest.raises(StateUnavailable):
            async with asyncio.timeout(5):
                await late
        assert not reader.done()
        mortal_redis.start()
        with pytest.raises(NotFound):
            async with asyncio.timeout(8):
                await reader
    await store.aclose()


async def test_workers_hear_of_cancelled_runs(store: Store) -> None:
    records = process(store)
    async with reading(store) as one, reading(store) as other:
        heard: list[list[str]] = [[], []]
        for following, cancelled in zip((one, other), heard, strict=True):
            following.on_cancel(cancelled.append)
        await begun(records, "a", session="s")
        await queued(records, "b")
        async with asyncio.timeout(5):
            while not all(heard):
                await records.cancel(OWNER, "a")
                await asyncio.sleep(0.01)
        await records.cancel(OWNER, "b")
        await records.create(new_run("c", session="s", on_busy="interrupt"))
        await asyncio.sleep(0.05)
        assert {run_id for each in heard for run_id in each} == {"a"}


BATCHES = st.lists(st.integers(1, 4), max_size=12)


@settings(max_examples=100)
@given(sizes=BATCHES, data=st.data())
def test_a_follower_has_each_event_once_whatever_is_lost_or_comes_twice(sizes: list[int], data: st.DataObject) -> None:
    """The store has all that was written so far; messages come late, twice or never; the reader takes when it likes."""
    written: list[Numbered] = []
    follower, had = Follower(0), list[Numbered]()
    messages: list[Sequence[Numbered]] = []
    for size in sizes:
        first = len(written) + 1
        messages.append([(number, event(number)) for number in range(first, first + size)])
        written += messages[-1]
        for _ in range(data.draw(st.integers(0, 2))):
            follower.tell(data.draw(st.sampled_from(messages)))
        if data.draw(st.booleans()):
            _look_and_take(follower, written, had)
    follower.fall_behind()
    _look_and_take(follower, written, had)
    assert had == written


def _look_and_take(follower: Follower, written: list[Numbered], had: list[Numbered]) -> None:
    for _ in range(3):
        if follower.behind:
            follower.looks()
            follower.looked(News(tuple(written[follower.after :]), more=False, over=False))
        had += follower.take()


def test_a_slow_reader_does_not_fill_the_memory() -> None:
    follower = Follower(0)
    follower.looks()
    follower.looked(News((), more=False, over=False))
    for number in range(1, 3 * MOST_WAITING):
        follower.tell([(number, event(number))])
    assert follower.behind
    assert len(follower.take()) <= MOST_WAITING
