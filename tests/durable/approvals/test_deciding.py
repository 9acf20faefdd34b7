"""Who may see and decide what; a decision counts once, and is on record before it has an effect."""

import asyncio

import pytest
from msgspec.structs import replace as with_fields

from app.access.principal import Principal
from app.agents.definition import Approving
from app.durable.approvals.record import Approval
from app.errors import ApprovalOver, Forbidden, NotFound, StateUnavailable
from app.state.redis import connect
from app.state.store import Store
from tests.durable.approvals.bank import PAYS, Bank, paused
from tests.durable.approvals.people import ADA, BOB, EVE, NOBODY, ROOT, Away, People, Recorded
from tests.durable.house import CALLER
from tests.redis_server import RedisServer


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
