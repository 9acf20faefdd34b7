"""A run that comes to a call that a person decides on: it waits, holds nothing, and goes on with exactly that call."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec.structs import replace as with_fields
from prometheus_client import REGISTRY

from app.access.principal import Principal
from app.agents.definition import Approving
from app.durable import keys
from app.durable.approvals.record import Approval, Decision
from app.durable.event_codec import decode_error
from app.durable.record import Claim, Ending, Write
from app.errors import ApprovalChanged, ApprovalOver, Forbidden, NotFound, RunExpired, SessionBusy, StateUnavailable
from app.messages import ToolCall
from app.runs.events import ApprovalRequired, RunPaused
from app.safety.binding import binding_of
from app.state.redis import connect
from app.state.store import Store
from app.tools import Tool, tool
from tests.doubles import CHEAP, Script, answers, asks_for
from tests.durable.house import CALLER, OWNER, Process
from tests.durable.people import ADA, BOB, EVE, NOBODY, ROOT, Away, People, Recorded
from tests.limits.stage import standing
from tests.logged import capture_logs
from tests.redis_server import RedisServer

BUDGET = {"budget_user_day_usd": 1.0, "usage_days": 1}
PAYS: tuple[Script, ...] = (asks_for(ToolCall("a", "pay", {"amount": 7}), text="Let me pay."), answers("Paid."))


class Bank:
    """What tools have done, in all processes."""

    def __init__(self) -> None:
        self.paid: list[int] = []

        @tool(risk="high", trusted=True)
        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return "paid"

        @tool(pure=True)
        async def look(thing: str = "") -> str:
            """Look."""
            return f"seen {thing}"

        self.tools: tuple[Tool, ...] = (pay, look)

    def process(self, store: Store, *scripts: Script, **more: Any) -> Process:
        given: dict[str, Any] = {"tools": self.tools, "price": CHEAP, **BUDGET, **more}
        return Process(store, *(scripts or PAYS), **given)


async def paused(process: Process, **more: Any) -> str:
    """A run that waits."""
    run_id = await process.submit(**more)
    await process.works(run_id)
    assert (await process.record(run_id)).status == "waiting"
    return run_id


async def reserved(process: Process) -> Sequence[float]:
    user = (await standing(process.limiter))["user"]
    return user.tokens.spent, user.tokens.reserved, user.usd.reserved


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


async def test_whoever_asked_for_the_run_does_not_decide(store: Store) -> None:
    people, process = People(store), Bank().process(store)
    await paused(process)
    (approval,) = await people.asked()
    for principal in (ADA, NOBODY):
        with pytest.raises(Forbidden):
            await people.approvals.decide(principal, approval.approval_id, "approve", "")
    decided = await people.approvals.decide(BOB, approval.approval_id, "approve", "fine")
    assert (decided.status, decided.decided_by, decided.comment) == ("approved", "bob", "fine")
    assert decided == await people.approvals.read(ADA, approval.approval_id)


async def test_unless_the_agent_says_so(store: Store) -> None:
    people = People(store)
    process = Bank().process(store, agents={"trusting": {"approving": Approving(requester=True)}})
    await paused(process, agent="trusting")
    await people.decide(principal=ADA)
    assert len(people.went_on) == 1


async def test_teams_see_their_own(store: Store) -> None:
    people, process = People(store), Bank().process(store, *PAYS * 3)
    for team in ("blue", "red", None):
        process.model.requests.clear()
        await paused(process, caller=with_fields(CALLER, team=team))

    async def seen(principal: Principal) -> list[str | None]:
        return [approval.requester.team for approval in await people.asked(principal)]

    assert await seen(EVE) == ["blue"]
    assert await seen(BOB) == await seen(ROOT) == ["blue", "red", None]
    red = (await people.asked())[1]
    with pytest.raises(NotFound):
        await people.approvals.read(EVE, red.approval_id)
    with pytest.raises(NotFound):
        await people.approvals.decide(EVE, red.approval_id, "approve", "")
    await people.approvals.decide(ROOT, red.approval_id, "approve", "")
    assert [one.status for one in (await people.approvals.list(BOB)).approvals] == ["pending", "approved", "pending"]
    assert [one.approval_id for one in (await people.approvals.list(BOB, status="approved")).approvals] == [
        red.approval_id
    ]


async def test_pages_have_each_once(store: Store) -> None:
    people, process = People(store), Bank().process(store, *PAYS)
    for _ in range(5):
        process.model.requests.clear()
        await paused(process)
    found, cursor = [], ""
    while True:
        page = await people.approvals.list(BOB, cursor=cursor, limit=2)
        found += [approval.approval_id for approval in page.approvals]
        cursor = page.next
        if not cursor:
            break
    assert found == [approval.approval_id for approval in reversed(await people.asked())]


@pytest.mark.parametrize("what", ["arguments", "the call", "the tool", "the binding"])
async def test_what_is_not_any_more_what_was_asked_is_not_approved(store: Store, what: str) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (approval,) = await people.asked()
    key = keys.approval_key(approval.approval_id)
    match what:
        case "arguments":
            await people.rewrite(key, "asked", b'{"amount":7}', b'{"amount":7000}')
        case "the call":
            await people.rewrite_step(run_id, b'{"amount":7}', b'{"amount":7000}')
        case "the tool":
            await people.rewrite_step(run_id, b'"name":"pay"', b'"name":"look"')
        case "the binding":
            await store.call("HSET", key, "binding", "0" * 64)
    with pytest.raises(ApprovalChanged):
        await people.approvals.decide(BOB, approval.approval_id, "approve", "")
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "pending"


async def test_arguments_that_change_after_the_approval_are_asked_about_anew(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (before,) = await people.asked()
    await people.decide()
    await people.rewrite_step(run_id, b'{"amount":7}', b'{"amount":7000}')
    await process.works(run_id)
    assert (await process.record(run_id)).status == "waiting"
    assert bank.paid == []
    (anew,) = await people.asked()
    assert anew.arguments == {"amount": 7000}
    assert anew.approval_id != before.approval_id
    assert (await people.approvals.read(BOB, before.approval_id)).status == "withdrawn"


async def test_steps_that_are_forged_whole_are_refused_by_the_script(store: Store) -> None:
    """Somebody has written another call, and another binding, into the run: that is not what the approval says."""
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (asked,) = await people.asked()
    await people.decide()
    forged = binding_of(run_id, "a", asked.definition, {"amount": 7000}, asked.policy, asked.expires_at)
    await people.rewrite_step(run_id, b'{"amount":7}', b'{"amount":7000}')
    await people.rewrite_step(run_id, asked.binding.encode(), forged.encode())
    await process.works(run_id)
    assert (await process.record(run_id)).status == "waiting"
    assert bank.paid == []


@pytest.mark.parametrize(("field", "value"), [("expires", 1), ("run", "another"), ("binding", "another")])
async def test_an_approval_that_does_not_hold_when_the_call_is_made_is_asked_for_anew(
    store: Store, field: str, value: str | int
) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (before,) = await people.asked()
    await people.decide()
    await store.call("HSET", keys.approval_key(before.approval_id), field, value)
    await process.works(run_id)
    assert (await process.record(run_id)).status == "waiting"
    assert bank.paid == []
    (anew,) = await people.asked()
    assert anew.approval_id != before.approval_id
    await people.decide()
    await process.works(run_id)
    assert (await process.answered(run_id)).answer == "Paid."
    assert bank.paid == [7]
    assert await reserved(process) == (30, 0, 0)


async def test_an_approval_that_the_store_has_lost_is_asked_for_anew(store: Store) -> None:
    bank, people = Bank(), People(store)
    process = bank.process(store)
    run_id = await paused(process)
    (before,) = await people.asked()
    await people.decide()
    await store.call("DEL", keys.approval_key(before.approval_id))
    await process.works(run_id)
    assert (await process.record(run_id)).status == "waiting"
    await people.decide()
    await process.works(run_id)
    assert bank.paid == [7]


async def test_a_tool_that_has_changed_is_asked_about_anew(store: Store) -> None:
    bank, people = Bank(), People(store)
    first = bank.process(store)
    run_id = await paused(first)
    await people.decide()
    changed = replace(bank.tools[0], description="Pay. All of it.")
    second = bank.process(store, *PAYS[1:], tools=[changed])
    await second.works(run_id)
    assert (await second.record(run_id)).status == "waiting"
    await people.decide()
    third = bank.process(store, *PAYS[1:], tools=[changed])
    await third.works(run_id)
    assert (await third.answered(run_id)).answer == "Paid."
    assert bank.paid == [7]


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


async def test_a_run_that_ends_takes_its_approvals_back(store: Store) -> None:
    """One that was approved, and never used."""
    people, process = People(store), Bank().process(store, timeout=5)
    run_id = await paused(process)
    (approval,) = await people.asked()
    await people.decide()
    await process.records.cancel(OWNER, run_id)
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "withdrawn"


async def test_fifty_decide_at_once_over_three_connections_and_one_does(redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    stores = [connect(redis_server.url) for _ in range(3)]
    bank, people = Bank(), [People(store) for store in stores]
    process = bank.process(stores[0])
    run_id = await paused(process)
    (approval,) = await people[0].asked()
    deciding = [
        people[at % 3].approvals.decide(BOB, approval.approval_id, "approve" if at % 2 else "deny", str(at))
        for at in range(50)
    ]
    outcomes = await asyncio.gather(*deciding, return_exceptions=True)
    (decided,) = [outcome for outcome in outcomes if isinstance(outcome, Approval)]
    assert [type(outcome) for outcome in outcomes if outcome is not decided] == [ApprovalOver] * 49
    assert [went_on for each in people for went_on in each.went_on] == [run_id]
    await process.works(run_id)
    assert bank.paid == ([7] if decided.status == "approved" else [])
    for store in stores:
        await store.aclose()


async def test_what_is_decided_is_on_record_before_it_has_an_effect(store: Store) -> None:
    audit = Recorded()
    people, process = People(store, audit=audit), Bank().process(store, audit=audit)
    await paused(process)
    (approval,) = await people.asked()
    with pytest.raises(Forbidden):
        await people.approvals.decide(ADA, approval.approval_id, "approve", "")
    await people.decide(comment="as agreed")
    with pytest.raises(ApprovalOver):
        await people.approvals.decide(BOB, approval.approval_id, "deny", "")
    entries = [entry for entry in audit.entries if entry.action == "approval"]
    assert [(entry.decision, entry.user, entry.why) for entry in entries] == [
        ("asked", "ada", "risk"),
        ("refused", "ada", "forbidden"),
        ("approved", "bob", "risk"),
        ("refused", "bob", "approval-over"),
    ]
    assert {entry.on for entry in entries} == {f"pay {approval.approval_id}"}
    assert len({entry.arguments for entry in entries}) == 1


async def test_a_decision_that_cannot_be_put_on_record_is_not_made(store: Store) -> None:
    people, process = People(store, audit=Away()), Bank().process(store)
    await paused(process)
    (approval,) = await people.asked()
    with pytest.raises(StateUnavailable):
        await people.approvals.decide(BOB, approval.approval_id, "approve", "")
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "pending"
    assert people.went_on == []


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
    assert after == {"approved": 1, "denied": 1, "withdrawn": 2}


def outcomes(word: str) -> float:
    return REGISTRY.get_sample_value("agent_approvals_total", {"outcome": word}) or 0.0
