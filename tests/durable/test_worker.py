"""What becomes of a run while a worker has it: cancelled, late, handed back, taken by another, without a store."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.durable import worker as workers
from app.durable.event_codec import decode_error
from app.errors import AppError, BudgetExceeded, DeadlineExceeded, NotFound, RateLimited, RunCancelled
from app.messages import ToolCall
from app.models.estimates import estimated_tokens
from app.runs.events import RunFailed, RunResumed
from app.runs.request import RunRequest
from app.state.in_process import InProcessStore
from app.state.redis import connect
from app.state.store import Store
from app.tools import tool
from tests.doubles import ADA, CHEAP, Script, answers, asks_for
from tests.durable.house import OWNER, MortalStore, Process
from tests.limits.stage import limits, standing
from tests.redis_server import RedisServer

SECONDS = 5.0
TOLD = estimated_tokens("Once ")
"""Of a call that was cut."""


@pytest.fixture
async def store() -> AsyncIterator[InProcessStore]:
    store = InProcessStore()
    yield store
    await store.aclose()


@tool(effect="read")
async def wait() -> str:
    """Wait."""
    await asyncio.sleep(60)
    return "waited"


def stuck() -> tuple[Script, asyncio.Event]:
    """A model call that has told something, and waits."""
    event = asyncio.Event()
    return ["Once ", event, *answers("upon.")], event


async def failure(process: Process, run_id: str) -> AppError:
    """Which its last event has as well."""
    record = await process.record(run_id)
    error = decode_error(record.error)
    last = (await process.kept_events(run_id))[-1]
    assert isinstance(last, RunFailed)
    assert type(last.error) is type(error)
    return error


async def test_a_run_that_is_cancelled_before_it_begins_is_not_begun(store: InProcessStore) -> None:
    process = Process(store, answers("Hello"))
    run_id = await process.submit()
    assert await process.records.cancel(OWNER, run_id) == "queued"
    await process.works(run_id)
    assert (await process.record(run_id)).status == "cancelled"
    assert process.model.requests == []


@pytest.mark.parametrize("told", ["at once", "with the next beat"])
async def test_a_run_is_cancelled_within_a_model_call(store: InProcessStore, told: str) -> None:
    script, _ = stuck()
    process = Process(store, script, price=CHEAP, lease=0.3 if told == "with the next beat" else 60, usage_days=1)
    run_id = await process.submit(session="s", stream=True)
    task = process.works(run_id)
    await process.model.opened.wait()
    assert await process.records.cancel(OWNER, run_id) == "running"
    if told == "at once":
        process.worker.cancel(run_id)
    await asyncio.wait_for(task, SECONDS)
    assert (await process.record(run_id)).status == "cancelled"
    assert isinstance(await failure(process, run_id), RunCancelled)
    assert process.model.open == 0
    (row,) = await process.limiter.usage.of_user("ada", 1)
    assert row.output_tokens == TOLD, "what was told is paid for"
    (turn,) = await process.remembered("s")
    assert turn.messages[-1].content == "Once "


async def test_a_run_is_cancelled_within_a_tool(store: InProcessStore) -> None:
    process = Process(store, asks_for(ToolCall("a", "wait", {})), tools=[wait])
    run_id = await process.submit()
    task = process.works(run_id)
    await process.says(run_id, "tool.started")
    process.worker.cancel(run_id)
    await asyncio.wait_for(task, SECONDS)
    assert isinstance(await failure(process, run_id), RunCancelled)


async def test_the_deadline_counts_from_the_first_begin(store: InProcessStore) -> None:
    script, _ = stuck()
    process = Process(store, script, timeout=0.2)
    run_id = await process.submit()
    began = time.monotonic()
    await asyncio.wait_for(process.works(run_id), SECONDS)
    assert time.monotonic() - began >= 0.19
    assert isinstance(await failure(process, run_id), DeadlineExceeded)

    mortal = MortalStore(store)
    dying = Process(mortal, stuck()[0], lease=0.05)
    run_id = await dying.submit(stream=True)
    dying.works(run_id)
    await dying.model.opened.wait()
    await asyncio.sleep(0.25)
    mortal.bury()
    await asyncio.sleep(0.1)
    late = Process(store, answers("Hello"), timeout=0.2)
    await asyncio.wait_for(late.works(run_id), SECONDS)
    assert isinstance(await failure(late, run_id), DeadlineExceeded)


async def test_a_run_waits_for_a_store_that_is_away(store: InProcessStore) -> None:
    script, event = stuck()
    away = AwayStore(store)
    process = Process(away, asks_for(ToolCall("a", "soon", {})), script, tools=[soon], lease=60)
    run_id = await process.submit(stream=True)
    task = process.works(run_id)
    await process.model.opened.wait()
    away.gone = True
    event.set()
    await asyncio.sleep(0.3)
    assert not task.done()
    away.gone = False
    await asyncio.wait_for(task, SECONDS)
    assert (await process.answered(run_id)).answer == "Once upon."
    await process.kept_events(run_id)


async def test_after_an_outage_whoever_works_on_a_run_goes_on_with_it(store: InProcessStore) -> None:
    """Though its lease has run out meanwhile: others wait for another one before they look."""
    script, event = stuck()
    away = AwayStore(store)
    process = Process(away, script, lease=0.6)
    other = Process(away, answers("Hello."), lease=0.6)
    run_id = await process.submit()
    task = process.works(run_id)
    await process.model.opened.wait()
    looking = asyncio.create_task(other.worker.run())
    away.gone = True
    await asyncio.sleep(2.0)
    away.gone = False
    await asyncio.sleep(1.5)
    event.set()
    await asyncio.wait_for(task, SECONDS)
    assert (await process.answered(run_id)).answer == "Once upon."
    assert (await process.record(run_id)).claims == 1
    other.worker.stop()
    await looking


async def test_a_run_that_the_store_has_forgotten_ends_without_a_word(store: InProcessStore) -> None:
    script, event = stuck()
    process = Process(store, script)
    run_id = await process.submit()
    task = process.works(run_id)
    await process.model.opened.wait()
    await store.call("FLUSHALL")
    event.set()
    await asyncio.wait_for(task, SECONDS)
    assert await process.records.read(OWNER, run_id) is None
    assert not [key for key in await store.call("KEYS", "*") if b"run" in key]


async def test_a_run_that_another_worker_has_is_not_written_any_more(store: InProcessStore) -> None:
    """As of a process that was stopped for a while: its lease is over, and it does not know."""
    script, event = stuck()
    stopped = Process(store, script, lease=0.02, price=CHEAP, budget_user_day_usd=1.0)
    run_id = await stopped.submit(session="s", stream=True)
    stopped.worker._claimed._heartbeat.keep = lambda *_: None  # type: ignore[method-assign]
    task = stopped.works(run_id)
    await stopped.model.opened.wait()
    await asyncio.sleep(0.1)
    other = Process(store, answers("Hello."), price=CHEAP, budget_user_day_usd=1.0)
    await other.works(run_id)
    events = await other.kept_events(run_id)
    event.set()
    await asyncio.wait_for(task, SECONDS)
    assert await other.kept_events(run_id) == events
    assert (await other.answered(run_id)).answer == "Hello."
    assert [turn.message_id for turn in await other.remembered("s")] == [run_id]
    user = (await standing(other.limiter))["user"]
    assert user.tokens.reserved == 0
    assert user.tokens.spent == (await other.answered(run_id)).tokens_used


async def test_a_cut_call_is_paid_for_and_told_anew(store: InProcessStore) -> None:
    mortal = MortalStore(store)
    dying = Process(mortal, stuck()[0], lease=0.05, price=CHEAP, usage_days=1)
    run_id = await dying.submit(stream=True)
    dying.works(run_id)
    await dying.says(run_id, "token")
    mortal.bury()
    await asyncio.sleep(0.1)
    other = Process(store, answers("Hello."), price=CHEAP, usage_days=1)
    await other.works(run_id)
    answer = await other.answered(run_id)
    assert answer.iterations == 1
    assert answer.usage.output_tokens == 5 + TOLD
    (row,) = await other.limiter.usage.of_user("ada", 1)
    assert (row.calls, row.output_tokens) == (2, 5 + TOLD)
    names = [event.name for event in await other.kept_events(run_id)]
    assert names == ["run.started", "token", "run.resumed", "token", "usage", "run.finished"]
    assert RunResumed(2) in await other.kept_events(run_id)


async def test_stopped_within_a_long_step_a_run_is_handed_back_at_once(
    store: InProcessStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "STEP_SECONDS", 0.05)
    process = Process(store, stuck()[0], price=CHEAP, budget_user_day_usd=1.0, usage_days=1)
    run_id = await process.submit(session="s", stream=True)
    task = process.works(run_id)
    await process.says(run_id, "token")
    process.worker.stop()
    await asyncio.wait_for(task, SECONDS)
    record = await process.record(run_id)
    assert (record.status, record.crashes) == ("queued", 0)
    assert process.engine.rung == [run_id]
    assert await process.remembered("s") == []

    other = Process(store, answers("Hello."), price=CHEAP, budget_user_day_usd=1.0, usage_days=1)
    await other.works(run_id)
    answer = await other.answered(run_id)
    assert (answer.answer, answer.iterations, answer.usage.output_tokens) == ("Hello.", 1, 5 + TOLD)
    assert RunResumed(2) in await other.kept_events(run_id)
    user = (await standing(other.limiter))["user"]
    assert (user.tokens.spent, user.tokens.reserved) == (answer.tokens_used, 0)


@tool
async def soon() -> str:
    """Soon."""
    await asyncio.sleep(0.1)
    return "done"


async def test_stopped_within_a_short_step_a_run_is_handed_back_after_it(store: InProcessStore) -> None:
    process = Process(store, asks_for(ToolCall("a", "soon", {})), tools=[soon])
    run_id = await process.submit()
    task = process.works(run_id)
    await process.says(run_id, "tool.started")
    process.worker.stop()
    await asyncio.wait_for(task, SECONDS)
    assert (await process.record(run_id)).status == "queued"
    other = Process(store, answers("Hello."), tools=[soon])
    await other.works(run_id)
    (call,) = (await other.answered(run_id)).tool_calls
    assert call.status == "ok"
    assert [event.name for event in await other.kept_events(run_id)].count("tool.started") == 1


async def test_a_run_is_handed_back_when_all_tools_that_it_has_begun_are_done(store: InProcessStore) -> None:
    @tool
    async def later() -> str:
        """Later."""
        await asyncio.sleep(0.4)
        return "done"

    both = asks_for(ToolCall("a", "soon", {}), ToolCall("b", "later", {}))
    process = Process(store, both, tools=[soon, later])
    run_id = await process.submit()
    task = process.works(run_id)
    await process.says(run_id, "tool.started")
    process.worker.stop()
    await asyncio.wait_for(task, SECONDS)
    assert (await process.record(run_id)).status == "queued"
    other = Process(store, answers("Hello."), tools=[soon, later])
    await other.works(run_id)
    assert [call.status for call in (await other.answered(run_id)).tool_calls] == ["ok", "ok"]


async def test_a_run_that_is_to_be_handed_back_begins_no_tool(store: InProcessStore) -> None:
    event = asyncio.Event()
    process = Process(store, [event, *asks_for(ToolCall("a", "soon", {}))], tools=[soon])
    run_id = await process.submit()
    task = process.works(run_id)
    await process.model.opened.wait()
    process.worker.stop()
    event.set()
    await asyncio.wait_for(task, SECONDS)
    assert "tool.started" not in [event.name for event in await process.kept_events(run_id)]
    other = Process(store, answers("Hello."), tools=[soon])
    await other.works(run_id)
    (call,) = (await other.answered(run_id)).tool_calls
    assert call.status == "ok"


async def test_a_run_without_a_place_is_tried_again_later(store: InProcessStore) -> None:
    settings: dict[str, Any] = {"limits": limits(user={"concurrent": 1, "per_minute": 2})}
    script, event = stuck()
    process = Process(store, script, answers("Hello."), **settings)
    async with process.runner.start(ADA, RunRequest("Hello")) as plain:
        await process.model.opened.wait()
        await process.limiter.count(ADA, "chat")
        run_id = await process.submit()
        await process.works(run_id)
        record = await process.record(run_id)
        assert (record.status, record.crashes, record.last_event, record.started_at) == ("queued", 0, 0, 0.0)
        event.set()
        assert [event async for event in plain]
    async with asyncio.timeout(SECONDS):
        while (await process.record(run_id)).status == "queued":
            await process.works(run_id)
            await asyncio.sleep(0.05)
    assert (await process.answered(run_id)).answer == "Hello."
    with pytest.raises(RateLimited):
        await process.limiter.count(ADA, "chat")


async def test_a_used_up_budget_fails_the_run(store: InProcessStore) -> None:
    process = Process(store, answers("Hello."), price=CHEAP, budget_user_day_tokens=1)
    run_id = await process.submit()
    await process.works(run_id)
    assert isinstance(await failure(process, run_id), BudgetExceeded)


async def test_an_agent_that_is_gone_fails_the_run(store: InProcessStore) -> None:
    process = Process(store, answers("Hello."))
    run_id = await process.submit(agent="gone")
    await process.works(run_id)
    assert isinstance(await failure(process, run_id), NotFound)


class AwayStore:
    """A store that is away for a while."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.gone = False

    def call(self, *command: Any) -> asyncio.Future[Any]:
        if not self.gone:
            return self._store.call(*command)
        mortal = MortalStore(self._store)
        mortal.bury()
        return mortal.call(*command)

    async def aclose(self) -> None: ...


async def test_a_blocked_event_loop_keeps_its_runs(redis_server: RedisServer) -> None:
    redis_server.ask("FLUSHALL")
    store = connect(redis_server.url)
    script, event = stuck()
    process = Process(store, script, lease=0.6, redis_url=redis_server.url)
    other = Process(store, answers("Hello."), lease=0.6)
    run_id = await process.submit()
    task = process.works(run_id)
    await process.model.opened.wait()
    time.sleep(1.5)  # noqa: ASYNC251 - that is it
    assert await other.records.claim(run_id) is None
    event.set()
    await asyncio.wait_for(task, SECONDS)
    assert (await process.answered(run_id)).answer == "Once upon."
    assert (await process.record(run_id)).claims == 1
    await process.worker.aclose()
    await store.aclose()
