"""A run that comes to a call that a person decides on: it waits, holds nothing, and goes on with exactly that call."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from app.durable import keys
from app.durable.approvals.approvals import Approvals
from app.durable.engines.in_process import InProcessEngine
from app.durable.record import Claim, Ending, Write
from app.durable.worker import Worker
from app.errors import SessionBusy
from app.messages import ToolCall
from app.runs.events import ApprovalRequired, RunPaused
from app.state.in_process import InProcessStore
from app.state.redis import connect
from app.state.store import Argument, Store
from app.telemetry.traces import Tracing
from tests.doubles import answers, asks_for
from tests.durable.approvals.bank import PAYS, Bank, paused, reserved
from tests.durable.approvals.people import BOB, People
from tests.durable.house import EVERYONE
from tests.logged import capture_logs
from tests.redis_server import RedisServer


async def test_a_run_waits_holds_nothing_and_goes_on_elsewhere(store: Store) -> None:
    bank, people = Bank(), People(store)
    first = bank.process(store)
    with capture_logs() as lines:
        run_id = await paused(first, session="s", stream=True)
    assert [line["outcome"] for line in lines if line["event"] == "agent.request.waiting"] == ["waiting"]
    record = await first.record(run_id)
    assert record.waits_until == pytest.approx(record.waiting_since + 3_600, abs=5)
    assert bank.paid == []
    assert await reserved(first) == (15, 0, 0)
    assert await store.call("ZCARD", keys.LEASES) == 0
    assert first.worker._places.free == first.settings.workers
    assert await first.records.due() == []
    assert await first.records.pending_approvals() == 1

    (approval,) = await people.asked()
    asked, told = (await first.kept_events(run_id))[-2:]
    assert isinstance(asked, ApprovalRequired)
    assert isinstance(told, RunPaused)
    assert (asked.approval_id, asked.arguments, asked.reason) == (approval.approval_id, {"amount": 7}, "risk")
    assert told.approvals == (approval.approval_id,)
    assert (approval.tool, approval.arguments, approval.status) == ("pay", {"amount": 7}, "pending")
    assert (approval.run_id, approval.call_id, approval.requester.user) == (run_id, "a", "ada")
    assert asked.expires_at == approval.expires_at == record.waits_until

    await people.decide()
    assert people.went_on == [run_id]
    second = bank.process(store, *PAYS[1:])
    with capture_logs() as lines:
        await second.works(run_id)
    assert [line["reason"] for line in lines if line["event"] == "agent.request.resumed"] == ["decided"]
    answer = await second.answered(run_id)
    assert (answer.answer, answer.iterations, answer.tokens_used) == ("Paid.", 2, 30)
    assert bank.paid == [7]
    assert [event.name for event in (await second.kept_events(run_id))].count("run.resumed") == 1
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "consumed"
    (row,) = await second.limiter.usage.of_user("ada", 1)
    assert await reserved(second) == (30, 0, 0)
    assert (row.calls, row.input_tokens + row.output_tokens) == (2, 30)
    assert [turn.message_id for turn in await second.remembered("s")] == [run_id]


async def test_a_denied_call_is_not_made_and_the_model_goes_on(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    await people.decide("deny", "not today")
    await process.works(run_id)
    answer = await process.answered(run_id)
    assert bank.paid == []
    assert answer.answer == "Paid."
    (record,) = answer.tool_calls
    assert (record.status, record.error) == ("error", "A person has denied this call: not today")
    assert process.model.requests[-1].messages[-1].content == "A person has denied this call: not today"


async def test_parallel_calls_resume_exactly_their_own(store: Store) -> None:
    bank, people = Bank(), People(store)
    calls = [
        ToolCall("a", "pay", {"amount": 1}),
        ToolCall("b", "look", {"thing": "tea"}),
        ToolCall("c", "pay", {"amount": 2}),
        ToolCall("d", "pay", {"amount": 3}),
    ]
    process = bank.process(store, asks_for(*calls), answers("Done."))
    run_id = await paused(process, stream=True)
    names = [event.name for event in await process.kept_events(run_id)]
    assert names[-6:] == ["tool.started", "tool.finished", *["approval.required"] * 3, "run.paused"]

    first, second, third = await people.asked()
    await people.approvals.decide(BOB, second.approval_id, "deny", "")
    await people.approvals.decide(BOB, first.approval_id, "approve", "")
    assert people.went_on == []
    assert (await process.record(run_id)).status == "waiting"
    await people.approvals.decide(BOB, third.approval_id, "approve", "")
    assert people.went_on == [run_id]
    await process.works(run_id)
    answer = await process.answered(run_id)
    assert sorted(bank.paid) == sorted(approval.arguments["amount"] for approval in (first, third))
    assert {record.arguments.get("amount"): record.status for record in answer.tool_calls} == {
        None: "ok",
        first.arguments["amount"]: "ok",
        second.arguments["amount"]: "error",
        third.arguments["amount"]: "ok",
    }
    results = [message.content for message in process.model.requests[-1].messages[2:]]
    assert results[1] == "seen tea", "in the order of the calls"


async def test_a_second_call_is_another_approval(store: Store) -> None:
    bank, people = Bank(), People(store)
    twice = [asks_for(ToolCall("a", "pay", {"amount": amount})) for amount in (1, 2)]
    process = bank.process(store, *twice, answers("Done."))
    run_id = await paused(process)
    for amount in (1, 2):
        (approval,) = await people.asked()
        assert approval.arguments == {"amount": amount}
        await people.decide()
        await process.works(run_id)
    assert (await process.answered(run_id)).iterations == 3
    assert bank.paid == [1, 2]


async def test_it_keeps_its_place_in_its_session(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store, *PAYS, answers("Hello."))
    run_id = await paused(process, session="s")
    with pytest.raises(SessionBusy, match=f"{run_id} .* waits for a person"):
        await process.submit(session="s")
    following = await process.submit(session="s", on_busy="enqueue")
    await process.works(following)
    assert (await process.record(following)).status == "queued"
    await people.decide()
    await process.works(run_id)
    await process.works(following)
    assert [turn.message_id for turn in await process.remembered("s")] == [run_id, following]

    process = bank.process(store)
    run_id = await paused(process, session="t")
    await process.submit(session="t", on_busy="interrupt")
    assert (await process.record(run_id)).status == "cancelled"


async def test_the_time_of_waiting_is_none_of_the_runs(store: Store) -> None:
    people, process = People(store), Bank().process(store, timeout=5)
    run_id = await paused(process)
    for field in ("started", "waiting"):
        await store.call("HINCRBY", keys.run_key(run_id), field, -60_000)
    await people.decide()
    assert (await process.record(run_id)).waited_seconds == pytest.approx(60, abs=3)
    await process.works(run_id)
    assert (await process.answered(run_id)).latency_ms < 5_000


async def test_a_run_on_which_all_is_decided_before_it_waits_goes_on(store: Store) -> None:
    """Its process has handed it back between its question and its pause."""
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    await store.call("HSET", keys.run_key(run_id), "status", "running", "claim", 2)
    await people.decide()
    assert people.went_on == []
    rung: list[str] = []
    process.records.on_due(rung.append)
    await process.records.write(Write(Claim(run_id, 2), ending=Ending("waiting"), waits_until=2e9))
    assert rung == [run_id]
    await process.works(run_id)
    assert bank.paid == [7]


async def test_a_run_that_waits_survives_a_restart_of_the_store(tmp_path: Path) -> None:
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    server.start()
    bank, store = Bank(), connect(server.url)
    run_id = await paused(bank.process(store), session="s")
    await store.aclose()
    server.stop()
    server.start()
    store = connect(server.url)
    people, process = People(store), bank.process(store, *PAYS[1:])
    await people.decide()
    await process.works(run_id)
    assert (await process.answered(run_id)).answer == "Paid."
    assert bank.paid == [7]
    await store.aclose()
    server.stop()


async def test_a_run_that_is_cancelled_as_it_comes_to_its_pause_does_not_wait(store: Store) -> None:
    bank = Bank()
    process = bank.process(store)
    run_id = await process.submit()
    await store.call("HSET", keys.run_key(run_id), "cancelling", "")
    calls, asked = process.records.now, asyncio.Event()

    async def now() -> float:
        await store.call("HSET", keys.run_key(run_id), "cancelling", "1")
        asked.set()
        return await calls()

    process.records.now = now  # type: ignore[method-assign] # the last thing before the pause
    await process.works(run_id)
    assert asked.is_set()
    assert await process.records.due() == []
    assert (await process.record(run_id)).status == "cancelled"
    assert bank.paid == []


async def test_a_process_that_is_alone_and_has_no_workers_goes_on_with_what_was_decided() -> None:
    store, bank = InProcessStore(), Bank()
    process = bank.process(store, workers=0)
    engine = InProcessEngine()
    worker = Worker(process.settings, process.records, engine, process.runner, EVERYONE, Tracing(None), process.readers)
    people = People(store)
    people.approvals = Approvals(store, process.settings, worker.go_on)
    run_id = await paused(process)
    running = asyncio.create_task(worker.run())
    await asyncio.sleep(0)
    await people.decide()
    async with asyncio.timeout(5):
        while (await process.record(run_id)).status != "succeeded":  # noqa: ASYNC110 - it is asked
            await asyncio.sleep(0.01)
    worker.stop()
    await running
    assert bank.paid == [7]


class Held:
    """A store whose reply to a pause is on its way for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.written, self.told = asyncio.Event(), asyncio.Event()

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        reply = self._store.call(*command)
        return asyncio.ensure_future(self._late(reply)) if "waiting" in command else reply

    async def _late(self, reply: asyncio.Future[Any]) -> Any:
        found = await reply
        self.written.set()
        await self.told.wait()
        return found

    async def aclose(self) -> None: ...


async def test_what_is_decided_before_its_worker_knows_of_the_pause_goes_on_at_once(store: Store) -> None:
    held, bank, people = Held(store), Bank(), People(store)
    process = bank.process(held)
    run_id = await process.submit()
    working = process.works(run_id)
    await held.written.wait()
    await people.decide()
    await process.worker.work(run_id)  # the bell, which finds the run in this process yet
    held.told.set()
    await working
    assert process.engine.rung == [run_id]
    await bank.process(store, *PAYS[1:]).works(run_id)
    assert bank.paid == [7]
