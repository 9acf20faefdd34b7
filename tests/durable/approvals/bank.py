"""A bank whose payments people decide on."""

from collections.abc import Sequence
from typing import Any

from app.messages import ToolCall
from app.state.store import Store
from app.tools import Tool, tool
from tests.doubles import CHEAP, Script, answers, asks_for
from tests.durable.house import Process
from tests.limits.stage import standing

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
