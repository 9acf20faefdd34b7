"""A decision is for exactly what was asked: what has changed before it is refused, and after it asked about anew."""

from dataclasses import replace

import pytest

from app.durable import keys
from app.errors import ApprovalChanged
from app.messages import ToolCall
from app.redaction.build import build_redactor
from app.safety.binding import binding_of
from app.state.store import Store
from app.tools import tool
from tests.doubles import answers, asks_for
from tests.durable.approvals.bank import PAYS, Bank, paused, reserved
from tests.durable.approvals.people import BOB, People
from tests.durable.house import Process
from tests.durable.stage import brief


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


async def test_a_person_sees_no_secret_and_the_tool_is_called_with_it(store: Store) -> None:
    """Of a tool that takes secrets; others are not called with one."""
    used: list[str] = []

    @tool(risk="high", secrets=True, trusted=True)
    async def login(token: str) -> str:
        """Log in."""
        used.append(token)
        return "in"

    redactor = build_redactor(brief(), lambda *_: None, lambda: None)
    people = People(store)
    calls = asks_for(ToolCall("a", "login", {"token": "4111 1111 1111 1111"}))
    process = Process(store, calls, answers("In."), tools=[login], redactor=redactor)
    run_id = await paused(process)
    (approval,) = await people.asked()
    assert "4111" not in str(approval.arguments)
    assert "[redacted: " in approval.arguments["token"]
    assert "4111" not in str((await process.kept_events(run_id))[-2:])
    await people.decide()
    await process.works(run_id)
    assert used == ["4111 1111 1111 1111"]
