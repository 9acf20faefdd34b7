"""What one script writes is there as a whole, once, in order; and what has become too much goes."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from app.durable import keys
from app.durable.ended import ended
from app.durable.record import Claim, Ending, RunTaken, Write
from app.durable.replies import encode_work
from app.errors import EventsGone, NotFound, StateUnavailable
from app.messages import UserMessage
from app.state.redis import connect
from app.state.store import Store
from tests.durable.stage import OWNER, begun, end, event, events, new_run, process, queued, steps


async def test_steps_events_and_the_end_are_written_together(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **events(1, 2)))
    ending = Ending("succeeded", answer=b'{"answer":"42"}', delivery=b'{"url":"u"}')
    written = await records.write(Write(claim, **steps(1, 2), **events(3, 2), carried=b"{}", ending=ending))
    assert (written.settlement, written.cancelling, written.next) == (None, False, "")
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.status, record.answer, record.steps, record.last_event) == ("succeeded", ending.answer, 2, 4)
    assert (record.kept_event, record.carried) == (4, b"{}")
    assert record.ended_at >= record.started_at > 0
    assert await records.events(OWNER, "a", 0) == tuple((number, event(number)) for number in range(1, 5))


async def test_events_without_steps_may_be_told_anew(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **steps(1), **events(1, 2)))
    await records.write(Write(claim, **events(3, 4)))
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.last_event, record.kept_event) == (6, 2)


@pytest.mark.parametrize("overlap", [0, 1, 2, 3])
async def test_what_is_sent_again_with_more_counts_once(store: Store, overlap: int) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **steps(1, 3), **events(1, 3)))
    first = 4 - overlap
    await records.write(Write(claim, **steps(first, overlap + 1), **events(first, overlap + 1)))
    assert await store.call("LRANGE", keys.steps_key("a"), 0, -1) == list(steps(1, 4)["steps"])
    assert [number for number, _ in await records.events(OWNER, "a", 0)] == [1, 2, 3, 4]


async def test_an_older_write_that_arrives_late_changes_nothing(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    first, second = Write(claim, **steps(1), **events(1, 2)), Write(claim, **steps(2), **events(3, 2))
    for write in (first, second):
        await records.write(write)
    before = await records.read(OWNER, "a")
    await records.write(first)
    assert await records.read(OWNER, "a") == before


async def test_an_end_that_is_sent_again_is_no_stranger(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    for _ in range(2):
        await end(records, claim, delivery=b"{}")
    with pytest.raises(RunTaken):
        await end(records, claim, 2)
    with pytest.raises(RunTaken):
        await records.write(Write(claim, **steps(1)))
    assert len(await records.events(OWNER, "a", 0)) == 1


@pytest.mark.parametrize("gap", [{**steps(2)}, {**events(2)}, {**steps(1), **events(3)}])
async def test_a_worker_that_knows_more_than_the_store_has_lost_its_run(store: Store, gap: dict[str, object]) -> None:
    """The store came back as it was a second ago: a hole in the run would never be filled."""
    records = process(store)
    claim = await begun(records, "a")
    with pytest.raises(RunTaken) as caught:
        await records.write(Write(claim, **gap))  # type: ignore[arg-type]
    assert caught.value.lost
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.steps, record.last_event) == (0, 0)


async def test_a_run_that_the_store_does_not_know_is_lost(store: Store) -> None:
    records = process(store)
    with pytest.raises(RunTaken, match="lost") as caught:
        await records.write(Write(Claim("a", 1), **steps(1)))
    assert caught.value.lost
    assert await records.claim("a") is None
    assert await records.renew([Claim("a", 1)]) == []
    await records.hand_back(Claim("a", 1))
    with pytest.raises(NotFound):
        await records.events(OWNER, "a", 0)
    assert await store.call("DBSIZE") == 0


async def test_a_settlement_that_fails_leaves_nothing_written(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await store.call("SET", "{limits}:mark:a", "no number")
    call = (("{limits}:mark:a", "{limits}:usage"), ("a", 0, 300, 0, 0, "ada", "", "", "", ""))
    with pytest.raises(StateUnavailable):
        await records.write(Write(claim, **steps(1), **events(1), settlement=call, ending=Ending("succeeded")))
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.status, record.steps, record.last_event) == ("running", 0, 0)
    assert await records.events(OWNER, "a", 0) == ()
    await records.write(Write(claim, **steps(1), **events(1)))


async def test_the_oldest_events_go_and_their_readers_are_told(store: Store) -> None:
    records = process(store, run_events=100)
    claim = await begun(records, "a")
    for first in range(1, 301, 10):
        await records.write(Write(claim, **events(first, 10)))
    kept = await records.events(OWNER, "a", 200)
    assert [number for number, _ in kept] == list(range(201, 301))
    for after in (0, 199):
        with pytest.raises(EventsGone) as gone:
            await records.events(OWNER, "a", after)
        assert gone.value.oldest == 201
    with pytest.raises(EventsGone) as gone:
        await records.events(OWNER, "a", 301)
    assert gone.value.oldest == 201
    assert await records.events(OWNER, "a", 300) == ()


async def test_no_event_is_after_the_last_of_a_run_that_has_none(store: Store) -> None:
    records = process(store)
    run_id = await queued(records)
    assert await records.events(OWNER, run_id, 0) == ()
    with pytest.raises(EventsGone):
        await records.events(OWNER, run_id, 1)
    with pytest.raises(NotFound):
        await records.events("bob", run_id, 0)


@settings(max_examples=30)
@given(sizes=st.lists(st.integers(1, 40), max_size=12), after=st.integers(0, 300), limit=st.integers(1, 60))
def test_pages_of_events_have_no_gap(sizes: list[int], after: int, limit: int) -> None:
    async def read() -> None:
        store = connect(None)
        records, total = process(store), sum(sizes)
        claim = await begun(records, "a")
        first = 1
        for size in sizes:
            await records.write(Write(claim, **events(first, size)))
            first += size
        at, more = min(after, total), True
        while more:
            news = await records.news(OWNER, "a", at, limit)
            assert len(news.events) <= limit
            assert [number for number, _ in news.events] == list(range(at + 1, at + 1 + len(news.events)))
            at, more = at + len(news.events), news.more
            assert not news.over
        assert at == total
        await store.aclose()

    asyncio.run(read())


async def test_a_write_of_thousands_of_events_is_one(store: Store) -> None:
    """The store was away for a minute."""
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **steps(1, 500), **events(1, 9_000)))
    assert len(await records.events(OWNER, "a", 0, limit=10_000)) == 9_000
    assert await store.call("XLEN", keys.events_key("a")) == 1


async def test_events_are_kept_byte_by_byte(store: Store) -> None:
    records = process(store)
    claim = (await records.create(new_run("a", here=True))).claim
    assert claim is not None
    lines = ('token {"text":"ü\\n\\u0000 漢"}'.encode(), b"x", b'token {"text":""}')
    await records.write(Write(claim, first_event=1, events=lines))
    assert [line for _, line in await records.events(OWNER, "a", 0)] == list(lines)


async def test_of_what_was_asked_nothing_is_left_when_a_run_is_over(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    record = await records.read(OWNER, "a")
    assert record is not None
    words = replace(record.work.request, message="marked", system="marked", history=(UserMessage("marked"),))
    record = replace(record, work=replace(record.work, request=words))
    await store.call("HSET", keys.run_key("a"), "work", encode_work(record.work))
    await records.write(Write(claim, first_step=1, steps=(b'"marked"',)))
    assert "marked" in repr(await store.call("HGETALL", keys.run_key("a")))
    await records.write(Write(claim, ending=ended(record, Ending("succeeded"), 0)))
    assert "marked" not in repr(await store.call("HGETALL", keys.run_key("a")))
    assert await store.call("EXISTS", keys.steps_key("a")) == 0
    left = await records.read(OWNER, "a")
    assert left is not None
    assert (left.status, left.work.session_id, left.work.caller) == (
        "succeeded",
        record.work.session_id,
        record.work.caller,
    )
