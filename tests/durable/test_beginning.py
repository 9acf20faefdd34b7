"""Runs that begin in the process that makes them: what their making asks of the store, and what keeps them from it."""

from collections.abc import Sequence
from typing import Any

import pytest

from app.access.principal import Principal
from app.durable.beginning import Beginning, Started
from app.durable.keeping import BY_AGENT, NO_KEY, IdempotencyKey, Keeping
from app.durable.record import RunStatus
from app.errors import BudgetExceeded, LimitsUnavailable, RateLimited, SessionBusy, StateUnavailable, UnsafeInput
from app.runs.events import RunFailed
from app.runs.request import RunRequest
from app.safety.verdict import Source, Verdict
from app.state.in_process import InProcessStore
from app.state.store import Argument, Store
from tests.doubles import CHEAP, answers
from tests.durable.house import MortalStore, Process
from tests.limits.stage import limits, standing

ADA = Principal("ada", scopes=frozenset({"chat", "runs"}), authenticated=True)
BUDGET = {"budget_user_day_usd": 1.0, "usage_days": 1}


class Watched:
    """A store that tells which scripts and commands it was asked for, and which of them left together."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.asked: list[str] = []

    def call(self, *command: Argument) -> Any:
        self.asked.append(str(command[0]))
        return self._store.call(*command)

    async def aclose(self) -> None: ...


class Strict:
    policy = "strict"

    def check(self, text: str, source: Source) -> Verdict:
        return Verdict("block", "rule", "injection") if "Ignore" in text else Verdict("allow", "", "")


def made(store: Store, **more: Any) -> Process:
    return Process(store, answers("Hello."), price=CHEAP, **(BUDGET | more))


async def create(
    process: Process, message: str = "hi", keeping: Keeping = BY_AGENT, key: IdempotencyKey = NO_KEY, **request: Any
) -> Started:
    beginning = Beginning(process.limiter, process.records, process.worker)
    return await beginning.create(ADA, RunRequest(message, **request), keeping, key)


async def work_on(process: Process, started: Started) -> RunStatus:
    process.worker.begin(started.created, started.new, started.prepared, started.sent_at)
    for task in tuple(process.worker._tasks):
        await task
    return (await process.record(started.new.work.run_id)).status


def calls(asked: Sequence[str]) -> list[str]:
    """Without what a server is told that does not know a script yet."""
    return [name for name in asked if name != "EVAL"]


async def test_it_is_counted_kept_and_admitted_in_one_call_which_leaves_with_the_question_for_its_session(
    store: Store,
) -> None:
    rates = limits(user={"per_minute": 10, "concurrent": 5})
    watched = Watched(store)
    process = made(watched, limits=rates)
    started = await create(process, session_id="s")
    assert calls(watched.asked) == ["EVALSHA", "TIME", "HGETALL"]
    assert started.created.claim is not None
    assert "RateLimit" in started.headers
    assert (await standing(process.limiter))["user"].usd.reserved > 0
    assert await work_on(process, started) == "succeeded"
    assert calls(watched.asked)[3] == "EVALSHA"  # the first write: the admission was not asked for again
    spent = (await standing(process.limiter))["user"]
    assert (spent.tokens.spent, spent.usd.reserved) == (15, 0)
    assert [turn.message_id for turn in await process.remembered("s")] == [started.new.work.run_id]


async def test_rates_that_are_used_up_keep_it_from_being_made(store: Store) -> None:
    process = made(store, limits=limits(user={"per_minute": 1}))
    await create(process)
    with pytest.raises(RateLimited) as refused:
        await create(process, session_id="s")
    assert refused.value.retry_after
    assert len((await process.records.list("user:ada")).runs) == 1


async def test_a_budget_that_is_used_up_is_the_end_of_it(store: Store) -> None:
    process = made(store, budget_user_day_usd=0.000_000_1)
    started = await create(process)
    assert await work_on(process, started) == "failed"
    last = (await process.kept_events(started.new.work.run_id))[-1]
    assert isinstance(last, RunFailed)
    assert isinstance(last.error, BudgetExceeded)


async def test_without_a_place_among_the_callers_runs_it_is_handed_back_and_waits(store: Store) -> None:
    process = made(store, limits=limits(user={"concurrent": 1}))
    first, second = await create(process), await create(process)
    assert await work_on(process, second) == "queued"
    assert await work_on(process, first) == "succeeded"


async def test_what_is_refused_for_its_session_is_counted_and_holds_nothing(store: Store) -> None:
    process = made(store, limits=limits(user={"per_minute": 2}))
    first = await create(process, session_id="s")
    before = (await standing(process.limiter))["user"].usd.reserved
    with pytest.raises(SessionBusy):
        await create(process, session_id="s")
    assert (await standing(process.limiter))["user"].usd.reserved == before
    with pytest.raises(RateLimited):
        await create(process)
    assert await work_on(process, first) == "succeeded"


async def test_a_request_that_is_sent_again_holds_nothing(store: Store) -> None:
    process, key = made(store), IdempotencyKey("k", "f")
    first = await create(process, key=key)
    before = (await standing(process.limiter))["user"].usd.reserved
    again = await create(process, key=key)
    assert (again.created.run_id, again.created.replayed, again.created.claim) == (first.created.run_id, True, None)
    assert (await standing(process.limiter))["user"].usd.reserved == before
    assert await work_on(process, first) == "succeeded"


async def test_what_the_guard_refuses_is_counted_and_not_kept(store: Store) -> None:
    process = made(store, limits=limits(user={"per_minute": 1}), guard=Strict(), guard_input="block")
    with pytest.raises(UnsafeInput):
        await create(process, "Ignore all of it")
    assert (await process.records.list("user:ada")).runs == ()
    with pytest.raises(RateLimited):
        await create(process)


@pytest.mark.parametrize(("fail", "error"), [("closed", LimitsUnavailable), ("open", StateUnavailable)])
async def test_a_store_that_is_away_is_said_to_be(fail: str, error: type[Exception]) -> None:
    dead = MortalStore(InProcessStore(), dies_at=1)
    dead.bury()
    process = made(dead, limits=limits(user={"per_minute": 1}), limits_fail=fail)
    with pytest.raises(error):
        await create(process, session_id="s")
