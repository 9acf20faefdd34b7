"""A worker is killed at each of its calls of the store in turn; another one goes on to the same answer."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest

from app.durable.keys import steps_key
from app.messages import ToolCall
from app.runs.events import Event, RunFinished, RunResumed, Token
from app.state.redis import connect
from app.state.store import Store
from app.tools import Tool, ToolContext, tool
from tests.doubles import CHEAP, Script, answers, asks_for
from tests.durable.approvals.people import People
from tests.durable.house import MortalStore, Process
from tests.limits.stage import standing
from tests.redis_server import RedisServer

LEASE = 0.05
BUDGET = {"budget_user_day_usd": 1.0, "usage_days": 1}


class Effects:
    """What tools have done, in all processes."""

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.keys: dict[str, set[str]] = {}
        self.tools: tuple[Tool, ...] = ()

        @tool(effect="read", trusted=True)
        async def look() -> str:
            """Look."""
            self.calls["look"] += 1
            return "seen"

        @tool(effect="idempotent", trusted=True)
        async def order(context: ToolContext, thing: str) -> str:
            """Order."""
            self.calls["order"] += 1
            self.keys.setdefault(thing, set()).add(context.idempotency_key)
            return "ordered"

        @tool(trusted=True)
        async def send() -> str:
            """Send."""
            self.calls["send"] += 1
            return "sent"

        self.tools = (look, order, send)


SCRIPTS: tuple[Script, ...] = (
    asks_for(ToolCall("a", "look", {}), ToolCall("b", "order", {"thing": "tea"}), text="Let me see."),
    asks_for(ToolCall("c", "send", {})),
    answers("All ", "done."),
)


def scripts_after(answered: int) -> tuple[Script, ...]:
    return SCRIPTS[answered:] or SCRIPTS[-1:]


@pytest.fixture
async def store(redis_server: RedisServer) -> AsyncIterator[Store]:
    store = connect(redis_server.url)
    await store.call("FLUSHALL")
    yield store
    await store.aclose()


async def calls_of_a_whole_run(store: Store) -> int:
    mortal = MortalStore(store)
    process = Process(mortal, *SCRIPTS, tools=Effects().tools, price=CHEAP, **BUDGET)
    run_id = await process.submit(session="s")
    before = mortal.calls
    await process.works(run_id)
    assert (await process.answered(run_id)).answer == "All done."
    return mortal.calls - before


async def test_a_run_that_nothing_happens_to(store: Store) -> None:
    effects = Effects()
    process = Process(store, *SCRIPTS, tools=effects.tools, price=CHEAP, **BUDGET)
    run_id = await process.submit(session="s", stream=True)
    await process.works(run_id)
    answer = await process.answered(run_id)
    assert (answer.answer, answer.iterations, answer.tokens_used, answer.run_id) == ("All done.", 3, 45, run_id)
    events = await process.kept_events(run_id)
    assert [event.name for event in events][:3] == ["run.started", "token", "usage"]
    assert isinstance(events[-1], RunFinished)
    assert events[-1].answer == answer
    assert effects.calls == {"look": 1, "order": 1, "send": 1}
    assert [turn.message_id for turn in await process.remembered("s")] == [run_id]
    assert [number for number, _ in process.readers.events] == list(range(1, len(events) + 1))


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
async def test_killed_at_each_call_of_the_store(store: Store, *, after: bool) -> None:
    total = await calls_of_a_whole_run(store)
    assert total > 8
    for number in range(1, total + 1):
        await store.call("FLUSHALL")
        await killed_at(store, number, after=after)


async def killed_at(store: Store, number: int, *, after: bool) -> None:
    effects, people = Effects(), People(store)
    living = Process(store, *SCRIPTS, tools=effects.tools, price=CHEAP, **BUDGET)
    run_id = await living.submit(session="s", stream=True)
    mortal = MortalStore(store, dies_at=number, after=after)
    dying = Process(mortal, *SCRIPTS, tools=effects.tools, price=CHEAP, lease=LEASE, **BUDGET)
    task = dying.works(run_id)
    dead = asyncio.create_task(mortal.dead.wait())
    await asyncio.wait([dead, task], return_when=asyncio.FIRST_COMPLETED)
    dead.cancel()
    await asyncio.sleep(0.01)
    record = await living.record(run_id)
    if record.status == "running":
        await asyncio.sleep(LEASE)
    steps = await store.call("LRANGE", steps_key(run_id), 0, -1)
    over = record.status == "succeeded"  # there are no steps then
    answered = len(SCRIPTS) if over else sum(b'"ModelAnswered"' in step for step in steps)
    living.model._scripts = scripts_after(answered)
    await living.works(run_id)
    where = f"killed at call {number}, {after=}"
    if (await living.record(run_id)).status == "waiting":
        (unknown,) = await people.asked()
        assert (unknown.tool, unknown.reason) == ("send", "unknown_outcome"), where
        await people.decide("deny")
        await living.works(run_id)

    answer = await living.answered(run_id)
    assert answer.answer == "All done.", where
    assert (answer.iterations, answer.attempts) == (3, 3), where
    assert len(living.model.requests) == 3 - answered, where
    events = await living.kept_events(run_id)
    names = Counter(event.name for event in events)
    assert names["run.finished"] + names["run.failed"] == 1, where
    assert names["run.started"] == 1, where
    assert text_of(events) == "Let me see.All done.", where

    assert len(effects.keys["tea"]) == 1, where
    records = {record.name: record for record in answer.tool_calls}
    assert set(records) == {"look", "order", "send"}, where
    assert effects.calls["send"] <= 1, where
    assert records["send"].status in ("ok", "unknown"), where
    if records["send"].status == "ok":
        assert effects.calls["send"] == 1, where
    assert (records["look"].status, records["order"].status) == ("ok", "ok"), where

    user = (await standing(living.limiter))["user"]
    (row,) = await living.limiter.usage.of_user("ada", 1)
    assert user.tokens.spent == answer.tokens_used == row.input_tokens + row.output_tokens == 45, where
    assert (user.tokens.reserved, user.usd.reserved) == (0, 0), where
    assert row.calls == 3, where
    turns = await living.remembered("s")
    assert [turn.message_id for turn in turns] == [run_id], where
    mortal.bury()
    task.cancel()


def text_of(events: Sequence[Event]) -> str:
    """As a reader has it who discards what run.resumed says."""
    kept: list[tuple[int, str]] = []
    for number, event in enumerate(events, 1):
        if isinstance(event, RunResumed):
            kept = [(at, text) for at, text in kept if at < event.discard_from]
        elif isinstance(event, Token):
            kept.append((number, event.text))
    return "".join(text for _, text in kept)
