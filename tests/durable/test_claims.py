"""Who may work on a run: one worker at a time, for as long as its lease is renewed; and how runs end that none ends."""

import asyncio

import msgspec
import pytest
from prometheus_client import REGISTRY

from app.durable import keys
from app.durable.bounds import FIRST_RUNS
from app.durable.event_codec import decode_error
from app.durable.record import LATER, SOON, Asked, Claim, Ending, RunTaken, Webhook, Write
from app.durable.records import Records
from app.errors import RunCancelled, RunCrashed, RunExpired
from app.state.store import Store
from app.telemetry import metrics
from tests.durable.stage import OWNER, begun, end, events, lapse, new_run, process, queued, steps


async def test_of_many_workers_one_gets_a_run(store: Store) -> None:
    workers = [process(store) for _ in range(5)]
    run_id = await queued(workers[0])
    claims = await asyncio.gather(*(worker.claim(run_id) for worker in workers for _ in range(4)))
    assert len([claimed for claimed in claims if claimed is not None]) == 1


async def test_a_run_that_begins_here_is_claimed_by_its_creation(store: Store) -> None:
    records = process(store)
    created = await records.create(new_run("a", session="s", here=True))
    assert (created.status, created.claim) == ("running", Claim("a", 1))
    assert await records.claim("a") is None
    assert await records.due() == []
    record = await records.read(OWNER, "a")
    assert record is not None
    assert record.started_at == record.created_at


async def test_a_run_begins_at_its_time(store: Store) -> None:
    records = process(store)
    seconds, _ = await store.call("TIME")
    await queued(records, "later", start_at=int(seconds) + 1_000)
    await queued(records, "a-moment-ago", start_at=int(seconds) - 1_000)
    assert await records.claim("later") is None
    assert await records.due() == ["a-moment-ago"]
    assert await records.queue_age() < 5


async def test_a_dead_workers_run_goes_on_with_all_that_was_written(store: Store) -> None:
    records = process(store)
    old = await begun(records, "a")
    await records.write(Write(old, **steps(1, 2), **events(1, 3), carried=b"held"))
    assert await records.due() == []
    await lapse(store, "a")
    assert await records.due() == ["a"]
    claimed = await records.claim("a")
    assert claimed is not None
    assert claimed.claim == Claim("a", 2)
    assert (claimed.record.crashes, claimed.record.carried, claimed.record.kept_event) == (1, b"held", 3)
    assert claimed.steps == (b'{"n":1}', b'{"n":2}')
    with pytest.raises(RunTaken, match="taken") as caught:
        await records.write(Write(old, **steps(3)))
    assert not caught.value.lost
    assert await records.renew([old]) == []


async def test_a_sleeper_whose_run_nobody_took_may_go_on(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await lapse(store, "a")
    await records.write(Write(claim, **steps(1)))
    assert await records.renew([claim]) == [(claim, False)]
    assert await records.claim("a") is None


async def test_a_run_that_kills_its_workers_is_given_up(store: Store) -> None:
    records = process(store, run_crashes=3)
    dead = metrics.DEAD_RUNS.labels("default")
    before = dead._value.get()
    claim = await begun(records, "a", session="s")
    await records.write(Write(claim, **events(1, 2)))
    waits = await queued(records, session="s", on_busy="enqueue")
    rung: list[str] = []
    records.on_due(rung.append)
    for _ in range(2):
        await lapse(store, "a")
        assert await records.claim("a") is not None
    await lapse(store, "a")
    assert await records.due() == []
    assert rung == await records.due() == [waits]
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.status, record.crashes, record.last_event) == ("failed", 3, 3)
    error = decode_error(record.error)
    assert isinstance(error, RunCrashed)
    assert error.detail == "The run is given up: 3 workers that began it died."
    assert (await records.events(OWNER, "a", 2))[0][1].startswith(b"run.failed ")
    assert dead._value.get() == before + 1


async def test_a_run_that_is_handed_back_is_no_crash(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    await records.write(Write(claim, **steps(1)))
    await records.hand_back(claim, after_seconds=1_000)
    assert await records.claim("a") is None
    assert await records.due() == []
    await store.call("HSET", keys.run_key("a"), "due", int((await store.call("TIME"))[0]) * 1000)
    claimed = await records.claim("a")
    assert claimed is not None
    assert (claimed.record.crashes, claimed.claim.number) == (0, 2)
    await records.hand_back(claim)  # not its any more
    assert await records.renew([claimed.claim]) == [(claimed.claim, False)]


async def test_a_run_has_not_begun_until_something_is_written(store: Store) -> None:
    records = process(store)
    await records.hand_back(await begun(records, "a"))
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.status, record.started_at) == ("queued", 0)
    claimed = await records.claim("a")
    assert claimed is not None
    await records.write(Write(claimed.claim, **events(1)))
    await records.hand_back(claimed.claim)
    record = await records.read(OWNER, "a")
    assert record is not None
    assert record.started_at == claimed.record.started_at > 0


async def test_a_queued_run_is_cancelled_at_once(store: Store) -> None:
    records = process(store)
    await queued(records, "a")
    assert await records.cancel(OWNER, "a") == "queued"
    assert await records.cancel(OWNER, "a") == "cancelled"
    record = await records.read(OWNER, "a")
    assert record is not None
    assert (record.status, record.started_at) == ("cancelled", 0)
    assert isinstance(decode_error(record.error), RunCancelled)
    assert (await records.news(OWNER, "a", 0)).over
    assert await records.claim("a") is None


async def test_the_worker_of_a_cancelled_run_is_told_with_its_next_write_and_renewal(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a")
    assert await records.cancel(OWNER, "a") == "running"
    assert (await records.write(Write(claim, **steps(1)))).cancelling
    assert await records.renew([claim]) == [(claim, True)]
    assert await records.cancel("bob", "a") is None


@pytest.mark.parametrize("pauses", [False, True])
async def test_a_cancelled_run_that_its_worker_leaves_is_ended_by_it(store: Store, pauses: bool) -> None:
    """It may not have heard, and there may be no other worker."""
    records = process(store)
    claim = await begun(records, "a")
    await records.cancel(OWNER, "a")
    if pauses:
        asked = (Asked("approval", "", "pay", "binding", 2e9, b"{}"),)
        await records.write(Write(claim, **steps(1), asked=asked, ending=Ending("waiting"), waits_until=2e9))
    else:
        await records.hand_back(claim)
    record = await records.read(OWNER, "a")
    assert record is not None
    assert record.status == "cancelled"
    assert (await records.news(OWNER, "a", 0)).over


async def test_a_cancelled_run_whose_worker_died_is_ended_by_whoever_looks(store: Store) -> None:
    records = process(store)
    await begun(records, "a")
    await records.cancel(OWNER, "a")
    await lapse(store, "a")
    assert await records.due() == []
    record = await records.read(OWNER, "a")
    assert record is not None
    assert record.status == "cancelled"


def counted(agent: str, outcome: str) -> float:
    return REGISTRY.get_sample_value("agent_runs_total", {"agent": agent, "outcome": outcome}) or 0


async def test_a_run_for_which_no_worker_had_time_expires(store: Store) -> None:
    records, before = process(store, run_queue_seconds=0.02), counted("default", "deadline")
    await queued(records, "a")
    await begun(records, "going-on")
    await queued(records, "b", session="s")
    await queued(records, "behind", session="s", on_busy="enqueue")
    await asyncio.sleep(0.03)
    assert await records.due() == []
    await asyncio.sleep(0.03)  # that its turn had come was a new beginning
    assert await records.due() == []
    ended = [await records.read(OWNER, run_id) for run_id in ("a", "b", "behind")]
    assert [record and record.status for record in ended] == ["expired"] * 3
    assert counted("default", "deadline") == before + 3
    assert all(record and isinstance(decode_error(record.error), RunExpired) for record in ended)
    going_on = await records.read(OWNER, "going-on")
    assert going_on is not None
    assert going_on.status == "running"


async def test_a_run_that_no_worker_has_room_for_expires_however_often_it_was_handed_back(store: Store) -> None:
    records = process(store, run_queue_seconds=0.1)
    await queued(records, "a")
    begun_before = await begun(records, "begun")
    await records.write(Write(begun_before, **events(1)))
    for _ in range(4):
        await asyncio.sleep(0.04)
        if (claimed := await records.claim("a")) is not None:
            await records.hand_back(claimed.claim)
        await records.hand_back(begun_before)
        again = await records.claim("begun")
        assert again is not None
        begun_before = again.claim
    record = await records.read(OWNER, "a")
    assert record is not None
    assert record.status == "expired"


async def test_whoever_ends_a_run_does_not_take_the_one_whose_turn_it_is_then(store: Store) -> None:
    records = process(store, run_queue_seconds=0.02)
    await queued(records, "first", session="s")
    await queued(records, "second", session="s", on_busy="enqueue")
    await asyncio.sleep(0.03)
    await records.due()
    claimed = await records.claim("second")
    assert claimed is not None
    assert claimed.record.crashes == 0


async def test_the_dead_are_found_before_those_who_wait_and_these_before_batches(store: Store) -> None:
    records = process(store)
    await asyncio.gather(*(queued(records, f"batch-{at}", batch="b", priority=LATER) for at in range(5)))
    for run_id in ("waits", "died"):
        await queued(records, run_id)
    await records.claim("died")
    await lapse(store, "died")
    found = await records.due(2)
    assert found[:2] == ["died", "waits"]
    assert len(found) == 4
    assert await records.due(0) == []


async def test_the_queue_is_as_old_as_the_run_that_has_waited_longest(store: Store) -> None:
    records = process(store)
    assert await records.queue_age() == 0
    await begun(records, "going-on")
    assert await records.queue_age() == 0
    await queued(records, "a")
    await asyncio.sleep(0.03)
    await queued(records, "b")
    assert 0.03 <= await records.queue_age() < 5
    await records.claim("a")
    assert await records.queue_age() < 5


async def test_a_run_that_ends_without_a_worker_is_delivered(store: Store) -> None:
    records = process(store)
    new = new_run("a")
    work = msgspec.structs.replace(new.work, webhook=Webhook("https://example.com/hook", "ours"))
    await records.create(msgspec.structs.replace(new, work=work))
    await records.cancel(OWNER, "a")
    fields = dict(zip(*[iter(await store.call("HGETALL", keys.delivery_key("a")))] * 2, strict=True))
    assert (fields[b"state"], fields[b"attempts"]) == (b"pending", b"0")
    assert b"https://example.com/hook" in fields[b"message"]
    assert await store.call("ZRANGE", keys.OUTBOX, 0, -1) == [b"a"]
    assert await store.call("TTL", keys.delivery_key("a")) > 86_400


async def test_a_finished_run_is_forgotten_by_the_queue(store: Store) -> None:
    records = process(store)
    await end(records, await begun(records, "a", session="s"))
    for name in (keys.DUE, keys.DUE_LATER, keys.LEASES, keys.session_key(OWNER, "s")):
        assert await store.call("EXISTS", name) == 0


async def test_claims_of_many_runs_are_renewed_at_once(store: Store) -> None:
    records: Records = process(store)
    claims = [await begun(records, f"run-{at}") for at in range(50)]
    await records.hand_back(claims[7])
    assert [claim for claim, _ in await records.renew(claims)] == claims[:7] + claims[8:]
    assert await records.renew([]) == []


async def test_what_a_worker_had_comes_before_what_none_had(store: Store) -> None:
    records = process(store)
    await begun(records, "died")
    back = await begun(records, "back")
    for run_id in ("new", "newer"):
        await records.create(new_run(run_id))
    await records.hand_back(back)
    await lapse(store, "died")
    assert set((await records.due())[:2]) == {"died", "back"}
    assert set(await records.due(lost=True)) == {"died", "back"}
    assert await records.due() == [*(await records.due(lost=True)), "new", "newer"]
    claimed = await records.claim("back")
    assert claimed is not None
    assert (claimed.record.crashes, await records.due(lost=True)) == (0, ["died"])


async def test_whoever_has_many_runs_keeps_nobody_else_waiting(store: Store) -> None:
    records = process(store)
    many = [await records.create(new_run(f"many-{at}")) for at in range(FIRST_RUNS + 3)]
    assert [created.priority for created in many] == [SOON] * FIRST_RUNS + [LATER] * 3
    await records.create(new_run("few", owner="bob"))
    due = await records.due()
    assert due.index("few") < due.index(f"many-{FIRST_RUNS}")
    for at in range(4):  # of those that came first are over
        claimed = await records.claim(f"many-{at}")
        assert claimed is not None
        await end(records, claimed.claim)
    assert (await records.create(new_run("next"))).priority == SOON
