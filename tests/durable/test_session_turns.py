"""One run of a session goes on at a time, where the caller named the session."""

import asyncio
from itertools import pairwise

import pytest

from app.durable.record import Claim, Write
from app.durable.records import Records
from app.errors import SessionBusy
from app.state.store import Store
from tests.durable.stage import OWNER, begun, end, events, lapse, new_run, process, queued


async def status(records: Records, run_id: str) -> str:
    record = await records.read(OWNER, run_id)
    assert record is not None
    return record.status


async def test_a_busy_session_refuses_names_the_run_and_keeps_nothing(store: Store) -> None:
    records = process(store)
    await queued(records, "a", session="s")
    with pytest.raises(SessionBusy) as refused:
        await queued(records, "b", session="s", idempotency_key="k", fingerprint="f")
    assert refused.value.run_id == "a"
    assert await records.read(OWNER, "b") is None
    await queued(records, "b", session="other")
    await records.create(new_run("c", session="s", owner="bob"))
    await records.cancel(OWNER, "a")
    await queued(records, "d", session="s", idempotency_key="k", fingerprint="f")


async def test_many_requests_at_once_begin_one_run_of_a_session(store: Store) -> None:
    processes = [process(store) for _ in range(3)]
    made = await asyncio.gather(
        *(processes[at % 3].create(new_run(f"{at}", session="s", here=True)) for at in range(20)),
        return_exceptions=True,
    )
    assert sum(not isinstance(each, BaseException) for each in made) == 1


async def test_runs_that_wait_have_their_turn_in_order(store: Store) -> None:
    records = process(store)
    rung: list[str] = []
    records.on_due(rung.append)
    ids = [await queued(records, f"run-{at}", session="s", on_busy="enqueue") for at in range(5)]
    assert await records.due() == ids[:1]
    for run_id, following in pairwise([*ids, ""]):
        assert [await records.claim(other) for other in ids if other > run_id] == [None] * (4 - int(run_id[-1]))
        claimed = await records.claim(run_id)
        assert claimed is not None
        await end(records, claimed.claim)
        assert rung[-1:] == ([following] if following else rung[-1:])
        assert await records.due() == ([following] if following else [])
    assert rung == ids[1:]


async def test_a_run_keeps_its_turn_over_a_crash_and_when_it_is_handed_back(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "a", session="s")
    await queued(records, "b", session="s", on_busy="enqueue")
    await lapse(store, "a")
    assert await records.claim("b") is None
    again = await records.claim("a")
    assert again is not None
    await records.hand_back(again.claim)
    assert await records.claim("b") is None
    assert await records.due() == ["a"]
    assert claim.number == 1


async def test_an_interrupt_ends_what_waits_and_tells_what_goes_on(store: Store) -> None:
    records = process(store)
    claim = await begun(records, "going-on", session="s")
    await queued(records, "waits", session="s", on_busy="enqueue")
    created = await records.create(new_run("next", session="s", on_busy="interrupt", here=True))
    assert (created.claim, created.status) == (None, "queued")
    assert await status(records, "waits") == "cancelled"
    assert await records.claim("next") is None
    assert (await records.write(Write(claim, **events(1)))).cancelling
    await end(records, claim, 2)
    claimed = await records.claim("next")
    assert claimed is not None
    assert claimed.record.started_at > 0


async def test_an_interrupt_of_a_run_that_nobody_has_lets_the_new_one_begin(store: Store) -> None:
    records = process(store)
    await begun(records, "died", session="s")
    await lapse(store, "died")
    await queued(records, "next", session="s", on_busy="interrupt")
    assert await status(records, "died") == "cancelled"
    assert await records.due() == ["next"]


async def test_a_run_of_tomorrow_does_not_keep_its_session_busy_until_then(store: Store) -> None:
    records = process(store)
    seconds, _ = await store.call("TIME")
    await queued(records, "tomorrow", session="s", start_at=int(seconds) + 86_400)
    claim = await begun(records, "today", session="s")
    with pytest.raises(SessionBusy):
        await queued(records, "also", session="s")
    await queued(records, "then", session="s", on_busy="enqueue")
    await end(records, claim)
    assert await records.due() == ["then"]
    claimed = await records.claim("then")
    assert claimed is not None
    written = await records.write(Write(claimed.claim, ending=None))
    assert written.next == ""
    await end(records, claimed.claim)
    assert await records.due() == []
    await queued(records, "interrupts", session="s", on_busy="interrupt")
    assert await status(records, "tomorrow") == "queued"


async def test_a_run_whose_time_comes_while_another_goes_on_waits_for_its_turn(store: Store) -> None:
    records = process(store)
    seconds, micros = await store.call("TIME")
    claim = await begun(records, "going-on", session="s")
    soon = int(seconds) + int(micros) / 1e6 + 0.05
    await queued(records, "scheduled", session="s", on_busy="enqueue", start_at=soon)
    assert await records.claim("scheduled") is None
    await asyncio.sleep(0.1)
    for _ in range(2):
        assert await records.due() == []
    assert await records.claim("scheduled") is None
    await end(records, claim)
    assert await records.due() == ["scheduled"]


async def test_a_run_that_the_store_has_lost_does_not_keep_its_session_busy(store: Store) -> None:
    records = process(store)
    await queued(records, "lost", session="s")
    await store.call("DEL", "{limits}:run:lost")
    assert await begun(records, "b", session="s") == Claim("b", 1)


async def test_runs_without_a_named_session_do_not_wait_for_each_other(store: Store) -> None:
    records = process(store)
    assert all([await begun(records, run_id) for run_id in "abc"])
