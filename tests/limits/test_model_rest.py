"""What the processes tell each other of a model's limit, on the round trips of admissions and settlements."""

import asyncio
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from app.errors import RateLimited
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.messages import Usage
from app.models.resting import Resting
from app.state.in_process import InProcessStore
from app.state.store import Argument, Store
from tests.limits.conftest import MakeLimiter, brief
from tests.limits.stage import ADA, limits
from tests.limits.watched import WatchedStore

MANY = {"limits": limits(user={"per_minute": 1_000_000})}
_runs = count()


class CountingStore:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.calls = 0

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        self.calls += command[0] != "EVAL"  # which follows the first EVALSHA of a script
        return self._store.call(*command)

    async def aclose(self) -> None:
        await self._store.aclose()


class Process:
    """One of several: its limiter, and what it knows of the model."""

    def __init__(self, limiter: Limiter, model: str = "openai/m") -> None:
        self.limiter = limiter
        self.resting = Resting(model)

    async def begin(self) -> Reservation:
        reservation = self.limiter.reservation(ADA, "chat", f"rest-{next(_runs)}", model=self.resting)
        await self.limiter.reserve(reservation, lambda _: None)
        return reservation

    async def end(self, reservation: Reservation, *, made: bool = True) -> None:
        if made:
            reservation.record(self.resting.ref, Usage(1, 1), 0.0)
        await self.limiter.settle(reservation)

    def hear(self, remaining: int, reset: str = "20.0", limit: int = 60) -> None:
        told = {"limit": str(limit), "remaining": str(remaining), "reset": reset}
        self.resting.heard(CIMultiDict({f"x-ratelimit-{part}-requests": value for part, value in told.items()}))

    @property
    def rests(self) -> tuple[str, int] | None:
        state = self.resting.state()
        return None if state is None else (state[0], round(state[1]))


@pytest.fixture
async def processes(limiter: MakeLimiter) -> tuple[Process, Process]:
    return Process(limiter(**MANY)), Process(limiter(**MANY))


async def test_a_rest_in_one_process_is_one_in_the_others_from_their_next_run_on(
    processes: tuple[Process, Process],
) -> None:
    one, two = processes
    run = await one.begin()
    one.resting.rest(20)
    assert two.rests is None
    await one.end(run)
    await two.begin()
    assert two.rests == ("rate_limited", 20)


async def test_an_admission_tells_it_as_well(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.resting.rest(20, "overloaded")
    await one.begin()
    await two.begin()
    assert two.rests == ("overloaded", 20)


async def test_the_later_end_counts_for_all(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.resting.rest(20)
    two.resting.rest(10)
    for process in (one, two, one):
        await process.begin()
    assert one.rests == two.rests == ("rate_limited", 20)


async def test_all_processes_together_begin_no_more_than_are_left(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.hear(3)
    begun = [await process.begin() for process in (one, two, one)]
    assert one.rests is two.rests is None
    assert all(run.counted for run in begun)
    assert not (await two.begin()).counted
    assert two.rests == ("used_up", 20)


async def test_the_least_that_anybody_was_told_counts_whatever_comes_last(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.hear(1)
    await one.begin()
    two.hear(9)
    await two.begin()
    assert two.rests == ("used_up", 20)


async def test_a_run_that_did_not_ask_the_model_gives_its_request_back(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.hear(1)
    await one.end(await one.begin(), made=False)
    await one.end(await one.begin())
    assert one.rests is None
    await two.begin()
    assert two.rests == ("used_up", 20)


async def test_a_used_up_limit_is_probed_by_one_request_until_a_header_tells_more(
    processes: tuple[Process, Process],
) -> None:
    one, two = processes
    one.hear(0, "0.3")
    await one.begin()
    assert not (await two.begin()).counted
    await asyncio.sleep(0.4)
    probe = await one.begin()
    assert probe.counted
    assert not (await two.begin()).counted
    one.hear(2)
    await one.end(probe)
    assert [(await two.begin()).counted for _ in range(3)] == [True, True, False]


async def test_all_of_a_small_limit_is_there_after_its_reset(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.hear(2, "0.05", limit=5)
    await one.begin()
    await asyncio.sleep(0.1)
    assert [(await two.begin()).counted for _ in range(6)] == [True] * 5 + [False]
    one.hear(0, limit=5)
    await one.begin()
    assert one.rests == ("used_up", 20)


async def test_a_large_limit_is_not_counted_after_its_reset(processes: tuple[Process, Process]) -> None:
    one, two = processes
    one.hear(2, "0.05", limit=500)
    await one.begin()
    await asyncio.sleep(0.1)
    assert not any([(await two.begin()).counted for _ in range(5)])
    assert two.rests is None


async def test_models_and_accounts_do_not_rest_for_each_other(limiter: MakeLimiter) -> None:
    one, other = Process(limiter(**MANY)), Process(limiter(**MANY), "openai/other")
    one.resting.rest(20)
    await one.begin()
    await other.begin()
    assert other.rests is None


async def test_it_takes_no_round_trip_of_its_own(store: WatchedStore) -> None:
    counting = CountingStore(store)
    process = Process(Limiter(brief(**MANY), counting))
    for remaining in (None, 5, 3):
        counting.calls = 0
        run = await process.begin()
        if remaining is not None:
            process.hear(remaining)
        await process.end(run)
    assert counting.calls == 2


async def test_a_refused_run_counts_for_no_request_and_tells_its_news_all_the_same(limiter: MakeLimiter) -> None:
    strict, other = Process(limiter(limits=limits(user={"per_minute": 1}))), Process(limiter(**MANY))
    await strict.begin()
    strict.hear(1)
    with pytest.raises(RateLimited):
        await strict.begin()
    assert (await other.begin()).counted
    assert not (await other.begin()).counted


async def test_without_limits_to_ask_a_process_knows_what_it_has_seen_itself(limiter: MakeLimiter) -> None:
    one, two = (Process(limiter(budget_global_day_usd=None)) for _ in range(2))
    one.resting.rest(20)
    await one.end(await one.begin())
    await two.begin()
    assert one.rests == ("rate_limited", 20)
    assert two.rests is None


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 8), st.lists(st.integers(0, 2), max_size=12))
async def test_however_processes_take_turns_no_more_begin_than_are_left(left: int, turns: list[int]) -> None:
    store = InProcessStore()
    processes = [Process(Limiter(brief(**MANY), store)) for _ in range(3)]
    processes[0].hear(left)
    await processes[0].begin()
    begun = [await processes[turn].begin() for turn in turns]
    assert sum(run.counted for run in begun) == min(len(turns), max(0, left - 1))
    await store.aclose()
