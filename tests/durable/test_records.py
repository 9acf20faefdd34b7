"""Runs are kept, found by their owner, listed, and go when there are too many or they are old."""

import asyncio

import pytest

from app.durable import keys
from app.durable.record import Write
from app.errors import InvalidRequest, KeyReused, TooManyRuns
from app.state.store import Store
from tests.durable.stage import OWNER, begun, end, new_run, process, queued


async def test_a_run_is_read_as_it_was_created(store: Store) -> None:
    records, new = process(store), new_run("a", session="s", message="6 * 7? ünïcode\n", start_at=2_000_000_000.5)
    created = await records.create(new)
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.work, record.owner, record.agent, record.status) == (new.work, OWNER, "default", "queued")
    assert (record.start_at, record.started_at, record.ended_at) == (2_000_000_000.5, 0, 0)
    assert record.created_at == created.created_at > 1_700_000_000
    assert (record.claims, record.crashes, record.last_event, record.steps) == (0, 0, 0, 0)


async def test_another_owners_run_is_not_there(store: Store) -> None:
    records = process(store)
    run_id = await queued(records)
    assert await records.read("bob", run_id) is None
    assert await records.cancel("bob", run_id) is None
    assert (await records.list("bob")).runs == ()


async def test_fifty_equal_keys_at_once_make_one_run(store: Store) -> None:
    processes = [process(store) for _ in range(3)]
    made = await asyncio.gather(
        *(processes[at % 3].create(new_run(f"run-{at}", idempotency_key="k", fingerprint="f")) for at in range(50))
    )
    assert len({created.run_id for created in made}) == 1
    assert sum(created.replayed for created in made) == 49
    assert len({created.created_at for created in made}) == 1
    assert len((await processes[0].list(OWNER)).runs) == 1
    assert 86_000 < await store.call("TTL", keys.idempotency_key(OWNER, "k")) <= 86_400


async def test_a_key_that_comes_with_another_body_is_refused_and_is_one_owners(store: Store) -> None:
    records = process(store)
    first = new_run("a", idempotency_key="k", fingerprint="f")
    await records.create(first)
    with pytest.raises(KeyReused):
        await records.create(new_run("b", idempotency_key="k", fingerprint="g"))
    assert await records.read(OWNER, "b") is None
    bobs = await records.create(new_run("c", owner="bob", idempotency_key="k", fingerprint="g"))
    assert (bobs.run_id, bobs.replayed) == ("c", False)


async def test_a_creation_that_is_sent_again_after_a_lost_reply_is_no_replay(store: Store) -> None:
    records = process(store)
    new = new_run("a", idempotency_key="k", fingerprint="f", here=True)
    first = await records.create(new)
    assert first.claim is not None
    assert await records.create(new) == first
    assert len((await records.list(OWNER)).runs) == 1


async def test_a_replay_tells_how_the_run_stands(store: Store) -> None:
    records = process(store)
    await end(records, await begun(records, "a", idempotency_key="k", fingerprint="f"))
    again = await records.create(new_run("b", idempotency_key="k", fingerprint="f"))
    assert (again.run_id, again.status, again.replayed) == ("a", "succeeded", True)


async def test_the_list_is_paged_newest_first_and_filtered(store: Store) -> None:
    records = process(store)
    ids = [await queued(records, f"run-{at}", session="abc"[at % 3], on_busy="enqueue") for at in range(7)]
    await records.cancel(OWNER, "run-3")
    await queued(records, "of-a-batch", batch="b")
    found, cursor = [], ""
    for _ in range(4):
        page = await records.list(OWNER, cursor=cursor, limit=2)
        found += [record.work.run_id for record in page.runs]
        cursor = page.next
    assert (found, cursor) == (ids[::-1], "")
    of_session = await records.list(OWNER, session="a")
    assert [record.work.run_id for record in of_session.runs] == ["run-6", "run-3", "run-0"]
    cancelled = await records.list(OWNER, status="cancelled")
    assert [record.work.run_id for record in cancelled.runs] == ["run-3"]
    assert (await records.list(OWNER, session="a", status="cancelled", limit=1)).next != ""


@pytest.mark.parametrize("cursor", ["x", "1", "1.", ".a", "+inf.a", "\u0661.a", "-1.a"])
async def test_a_cursor_that_no_page_gave_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="Send the `next` of the page before"):
        await process(store).list(OWNER, cursor=cursor)


async def test_the_oldest_run_that_is_over_goes_for_a_new_one(store: Store) -> None:
    records = process(store, runs_per_user=3)
    for run_id in "abc":
        claim = await begun(records, run_id)
        if run_id != "a":
            await end(records, claim)
    await queued(records, "d")
    await queued(records, "e")
    assert [record.work.run_id for record in (await records.list(OWNER)).runs] == ["e", "d", "a"]
    assert await store.call("EXISTS", *_keys_of("b"), *_keys_of("c")) == 0
    with pytest.raises(TooManyRuns):
        await queued(records, "f")
    await queued(records, "g", batch="b")
    await records.create(new_run("h", owner="bob"))


async def test_only_runs_that_are_over_expire(store: Store) -> None:
    records = process(store, run_ttl_seconds=60)
    for run_id in "abc":
        claim = await begun(records, run_id, session=run_id)
        await records.write(Write(claim, first_step=1, steps=(b"{}",), first_event=1, events=(b"token {}",)))
        if run_id == "a":
            await end(records, claim, 2)
        elif run_id == "b":
            await records.hand_back(claim, after_seconds=60)
    assert not await store.call("EXISTS", keys.steps_key("a")), "what was asked is gone when the run is over"
    assert all([0 < await store.call("TTL", key) <= 60 for key in _keys_of("a") if key != keys.steps_key("a")])
    assert {await store.call("TTL", key) for run_id in "bc" for key in _keys_of(run_id)} == {-1}
    names = (keys.DUE, keys.LEASES, keys.owner_key(OWNER), keys.over_key(OWNER), keys.session_key(OWNER, "b"))
    assert {await store.call("TTL", name) for name in names} == {-1}
    await records.cancel(OWNER, "b")
    await end(records, claim, 2)
    assert all([0 < await store.call("TTL", name) <= 60 for name in (keys.owner_key(OWNER), keys.over_key(OWNER))])
    everything = await store.call("KEYS", "*")
    assert all([await store.call("TTL", name) > 0 for name in everything])


async def test_runs_that_have_expired_are_not_listed_and_do_not_count(store: Store) -> None:
    records = process(store, runs_per_user=2)
    for run_id in "ab":
        await end(records, await begun(records, run_id))
    await store.call("DEL", *_keys_of("a"))
    assert [record.work.run_id for record in (await records.list(OWNER)).runs] == ["b"]
    assert await store.call("ZCARD", keys.owner_key(OWNER)) == await store.call("ZCARD", keys.over_key(OWNER)) == 1


async def test_no_owner_meets_a_key_of_the_queue(store: Store) -> None:
    records = process(store)
    for owner in ("due", "leases", "x|over"):
        await records.create(new_run(f"of-{owner}", owner=owner))
    assert set(await records.due()) == {"of-due", "of-leases", "of-x|over"}


async def test_only_a_server_with_an_append_only_file_is_durable(store: Store) -> None:
    assert await process(store).volatile()


def _keys_of(run_id: str) -> tuple[str, ...]:
    return keys.run_key(run_id), keys.steps_key(run_id), keys.events_key(run_id)
