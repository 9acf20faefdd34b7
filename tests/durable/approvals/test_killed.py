"""A worker is killed at each of its calls of the store, before and after a person decides: the call is made once."""

import asyncio
from collections import Counter

import pytest

from app.durable.keys import steps_key
from app.messages import ToolCall
from app.state.store import Store
from tests.doubles import Script, answers, asks_for
from tests.durable.approvals.bank import Bank, reserved
from tests.durable.approvals.people import BOB, People
from tests.durable.house import MortalStore, Process

LEASE = 0.05
SCRIPTS: tuple[Script, ...] = (
    asks_for(ToolCall("a", "pay", {"amount": 7}), ToolCall("b", "look", {"thing": "tea"})),
    answers("Paid."),
)


async def person_decides(people: People, bank: Bank) -> None:
    """They approve; of a call whose outcome is unknown they look up whether it was made."""
    for approval in await people.asked():
        made = approval.reason == "unknown_outcome" and bank.paid
        await people.approvals.decide(BOB, approval.approval_id, "deny" if made else "approve", "")


async def work_until_it_waits_or_is_over(process: Process, run_id: str) -> str:
    await process.works(run_id)
    return (await process.record(run_id)).status


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("store", ["real"], indirect=True)
async def test_killed_at_each_call_of_the_store(store: Store, *, after: bool) -> None:
    reasons: Counter[str] = Counter()
    deaths = 0
    while await killed_at(store, deaths + 1, after=after):  # how many calls a run makes, its timing decides
        deaths += 1
        reasons.update([approval.reason for approval in (await People(store).approvals.list(BOB)).approvals])
        await store.call("FLUSHALL")
    assert deaths > 10
    assert reasons["risk"] == deaths, "one of each run"
    assert reasons["unknown_outcome"] > 0


async def killed_at(store: Store, number: int, *, after: bool) -> bool:
    """Whether the run made so many calls."""
    where = f"killed at call {number}, {after=}"
    bank, people = Bank(), People(store)
    living = bank.process(store, *SCRIPTS)
    run_id = await living.submit(session="s", stream=True)
    mortal = MortalStore(store, dies_at=number, after=after)
    dying = bank.process(mortal, *SCRIPTS, lease=LEASE)
    dead = asyncio.create_task(mortal.dead.wait())
    task = None
    while not mortal.dead.is_set():
        task = dying.works(run_id)
        await asyncio.wait([dead, task], return_when=asyncio.FIRST_COMPLETED)
        await person_decides(people, bank)
        if not mortal.dead.is_set() and (await living.record(run_id)).status == "succeeded":
            dead.cancel()
            return False
    await asyncio.sleep(0.01)
    await survives(living, people, bank, run_id, where)
    mortal.bury()
    if task is not None:
        task.cancel()
    return True


async def survives(living: Process, people: People, bank: Bank, run_id: str, where: str) -> None:
    for _ in range(5):
        record = await living.record(run_id)
        if record.status == "running":
            await asyncio.sleep(LEASE)
        steps = await living.store.call("LRANGE", steps_key(run_id), 0, -1)
        answered = sum(b'"ModelAnswered"' in step for step in steps)
        living.model._scripts = SCRIPTS[answered:] or SCRIPTS[-1:]
        living.model.requests.clear()
        if await work_until_it_waits_or_is_over(living, run_id) == "succeeded":
            break
        await person_decides(people, bank)
    answer = await living.answered(run_id)
    assert answer.answer == "Paid.", where
    assert bank.paid == [7], where
    assert (answer.iterations, answer.attempts, answer.tokens_used) == (2, 2, 30), where
    assert await reserved(living) == (30, 0, 0), where
    names = Counter(event.name for event in await living.kept_events(run_id))
    assert (names["run.started"], names["run.finished"], names["run.failed"]) == (1, 1, 0), where
    approvals = (await people.approvals.list(BOB)).approvals
    assert all(approval.status in ("consumed", "denied", "withdrawn") for approval in approvals), where
    assert await living.records.pending_approvals() == 0, where
    assert [turn.message_id for turn in await living.remembered("s")] == [run_id], where
