"""Background tasks: one that dies is seen, restarted, and costs the process its readiness if it keeps dying."""

import asyncio
from collections.abc import Callable

import pytest

from app.api.lifecycle import Lifecycle
from app.background import supervise
from tests.logged import capture_logs


class Work:
    """Dies as often as it is told to, then goes on."""

    def __init__(self, deaths: int) -> None:
        self.deaths = deaths
        self.starts = 0

    async def __call__(self) -> None:
        self.starts += 1
        if self.starts <= self.deaths:
            raise ValueError("of what it had")
        await asyncio.Event().wait()


@pytest.fixture
def lifecycle() -> Lifecycle:
    lifecycle = Lifecycle()
    lifecycle.state = "ready"
    return lifecycle


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_task_that_dies_is_logged_with_its_stack_and_goes_on(lifecycle: Lifecycle) -> None:
    work = Work(deaths=2)
    with capture_logs() as logged:
        task = asyncio.create_task(supervise("keys", work, lifecycle, pause_seconds=0.001))
        await until(lambda: work.starts == 3)
    assert [(line["event"], line["task"], line["log_level"]) for line in logged] == [
        ("background.died", "keys", "error")
    ] * 2
    assert all(line["exception"] for line in logged)
    assert lifecycle.readiness == "ready"
    await stop(task)


async def test_a_process_whose_task_keeps_dying_is_not_ready_until_it_has_recovered(lifecycle: Lifecycle) -> None:
    work = Work(deaths=4)
    task = asyncio.create_task(supervise("leases", work, lifecycle, pause_seconds=0.001, healthy_seconds=0.2))
    await until(lambda: work.starts == 5)
    assert lifecycle.readiness == "failing"
    await until(lambda: lifecycle.readiness == "ready")
    await stop(task)


async def test_a_task_that_requests_do_not_need_costs_no_readiness(lifecycle: Lifecycle) -> None:
    work = Work(deaths=5)
    task = asyncio.create_task(supervise("probes", work, lifecycle, essential=False, pause_seconds=0.001))
    await until(lambda: work.starts == 6)
    assert lifecycle.readiness == "ready"
    await stop(task)


async def test_pauses_grow(lifecycle: Lifecycle, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    really_sleep = asyncio.sleep

    async def sleep(seconds: float) -> None:
        if asyncio.current_task() is not task:  # servers of other tests run in threads of this process
            await really_sleep(seconds)
        else:
            pauses.append(seconds)

    monkeypatch.setattr("app.background.asyncio.sleep", sleep)
    work = Work(deaths=7)
    task = asyncio.create_task(supervise("keys", work, lifecycle))
    await asyncio.get_running_loop().run_in_executor(None, lambda: None)
    while work.starts < 8:
        await asyncio.wait([task], timeout=0.001)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    await stop(task)


async def test_a_task_that_has_nothing_to_do_may_end(lifecycle: Lifecycle) -> None:
    async def nothing() -> None:
        return

    await supervise("keys", nothing, lifecycle)
    assert lifecycle.readiness == "ready"


def test_a_process_near_its_bound_asks_for_less_and_beyond_it_refuses() -> None:
    lifecycle = Lifecycle(max_active=10)
    assert lifecycle.readiness == "starting"
    lifecycle.state = "ready"
    seen = []
    for _ in range(11):
        lifecycle.request_started()
        seen.append((lifecycle.readiness, lifecycle.overloaded))
    assert seen == [("ready", False)] * 8 + [("overloaded", False)] * 2 + [("overloaded", True)]
    for _ in range(3):
        lifecycle.request_finished()
    assert (lifecycle.readiness, lifecycle.overloaded) == ("ready", False)
