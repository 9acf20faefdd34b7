"""A run that waits for a person ends without one: nobody answers, or it is cancelled."""

import pytest
from prometheus_client import REGISTRY

from app.durable import keys
from app.durable.approvals.record import Decision
from app.durable.event_codec import decode_error
from app.errors import ApprovalOver, RunExpired
from app.state.store import Store
from tests.durable.approvals.bank import PAYS, Bank, paused
from tests.durable.approvals.people import BOB, People
from tests.durable.house import OWNER
from tests.logged import capture_logs


async def test_nobody_answers(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process, session="s")
    (approval,) = await people.asked()
    await store.call("HSET", keys.run_key(run_id), "until", 1)
    await store.call("ZADD", keys.DUE, 1, run_id)
    with capture_logs() as lines:
        assert await process.records.due() == []
    assert [line["approval_id"] for line in lines if line["event"] == "approval.expired"] == [approval.approval_id]
    record = await process.record(run_id)
    assert record.status == "expired"
    assert isinstance(decode_error(record.error), RunExpired)
    assert (await process.kept_events(run_id))[-1].name == "run.failed"
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "expired"
    assert await people.asked() == []
    with pytest.raises(ApprovalOver, match="expired"):
        await people.approvals.decide(BOB, approval.approval_id, "approve", "")
    await process.works(run_id)
    assert bank.paid == []
    for key in (keys.run_key(run_id), keys.approvals_key(run_id), keys.approval_key(approval.approval_id)):
        assert await store.call("TTL", key) > 0, key


async def test_a_run_is_looked_at_again_when_it_expires_and_not_before(store: Store) -> None:
    process = Bank().process(store)
    run_id = await paused(process)
    until = round((await process.record(run_id)).waits_until * 1000)
    assert int(await store.call("ZSCORE", keys.DUE, run_id)) == until
    await store.call("ZADD", keys.DUE, 1, run_id)
    assert await process.records.due() == []
    assert int(await store.call("ZSCORE", keys.DUE, run_id)) >= until
    assert await process.records.claim(run_id) is None


async def test_a_decision_that_comes_too_late_is_none(store: Store) -> None:
    people, process = People(store), Bank().process(store)
    await paused(process)
    (approval,) = await people.asked()
    await store.call("HSET", keys.approval_key(approval.approval_id), "expires", 1)
    with pytest.raises(ApprovalOver, match="expired"):
        await people.approvals.decide(BOB, approval.approval_id, "approve", "")


async def test_a_run_that_waits_is_cancelled(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (approval,) = await people.asked()
    assert await process.records.cancel(OWNER, run_id) == "waiting"
    assert (await process.record(run_id)).status == "cancelled"
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "withdrawn"
    with pytest.raises(ApprovalOver, match="withdrawn"):
        await people.approvals.decide(BOB, approval.approval_id, "approve", "")
    assert await people.asked() == []


async def test_a_run_that_ends_takes_its_approvals_back(store: Store) -> None:
    """One that was approved, and never used."""
    people, process = People(store), Bank().process(store, timeout=5)
    run_id = await paused(process)
    (approval,) = await people.asked()
    await people.decide()
    await process.records.cancel(OWNER, run_id)
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "withdrawn"


async def test_what_came_of_approvals_is_counted(store: Store) -> None:
    people, process = People(store), Bank().process(store, *PAYS)
    before = {word: outcomes(word) for word in ("approved", "denied", "withdrawn")}
    decisions: tuple[Decision | None, ...] = ("approve", "deny", None)
    for decision in decisions:
        process.model.requests.clear()
        run_id = await paused(process)
        if decision is not None:
            await people.decide(decision)
        await process.records.cancel(OWNER, run_id)
    after = {word: outcomes(word) - count for word, count in before.items()}
    assert after == {"approved": 1, "denied": 1, "withdrawn": 1}


def outcomes(word: str) -> float:
    return REGISTRY.get_sample_value("agent_approvals_total", {"outcome": word}) or 0.0
