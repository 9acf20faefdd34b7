"""A run that comes to a call that a person decides on: it waits, holds nothing, and goes on with exactly that call."""

from app.messages import ToolCall
from app.runs.events import ApprovalRequired, RunPaused
from app.state.store import Store
from app.tools import tool
from tests.doubles import CHEAP, Script, answers, asks_for
from tests.durable.house import Process
from tests.durable.people import BOB, People
from tests.limits.stage import standing

BUDGET = {"budget_user_day_usd": 1.0, "usage_days": 1}
PAYS: tuple[Script, ...] = (asks_for(ToolCall("a", "pay", {"amount": 7}), text="Let me pay."), answers("Paid."))


class Bank:
    def __init__(self) -> None:
        self.paid: list[int] = []

        @tool(risk="high")
        async def pay(amount: int) -> str:
            """Pay."""
            self.paid.append(amount)
            return "paid"

        @tool(effect="read", pure=True)
        async def look(thing: str) -> str:
            """Look."""
            return f"seen {thing}"

        self.tools = (pay, look)


async def test_a_run_waits_for_a_person_and_goes_on_elsewhere(store: Store) -> None:
    bank, people = Bank(), People(store)
    first = Process(store, *PAYS, tools=bank.tools, price=CHEAP, **BUDGET)
    run_id = await first.submit(session="s", stream=True)
    await first.works(run_id)
    record = await first.record(run_id)
    assert record.status == "waiting"
    assert record.waits_until > record.waiting_since
    assert bank.paid == []
    user = (await standing(first.limiter))["user"]
    assert (user.tokens.spent, user.tokens.reserved, user.usd.reserved) == (15, 0, 0)

    (approval,) = await people.asked()
    events = await first.kept_events(run_id)
    assert [event.name for event in events[-2:]] == ["approval.required", "run.paused"]
    asked, paused = events[-2:]
    assert isinstance(asked, ApprovalRequired)
    assert isinstance(paused, RunPaused)
    assert (asked.approval_id, asked.arguments, asked.reason) == (approval.approval_id, {"amount": 7}, "risk")
    assert (approval.tool, approval.arguments, approval.status) == ("pay", {"amount": 7}, "pending")
    assert (approval.run_id, approval.call_id, approval.requester.user) == (run_id, "a", "ada")

    await people.decide()
    assert people.went_on == [run_id]
    second = Process(store, *PAYS[1:], tools=bank.tools, price=CHEAP, **BUDGET)
    await second.works(run_id)
    answer = await second.answered(run_id)
    assert (answer.answer, answer.iterations, answer.tokens_used) == ("Paid.", 2, 30)
    assert bank.paid == [7]
    assert (await people.approvals.read(BOB, approval.approval_id)).status == "consumed"
    user = (await standing(second.limiter))["user"]
    (row,) = await second.limiter.usage.of_user("ada", 1)
    assert user.tokens.spent == row.input_tokens + row.output_tokens == 30
    assert (user.tokens.reserved, user.usd.reserved) == (0, 0)
