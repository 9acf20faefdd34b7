"""A run: its events reach whoever reads them, and it ends when, and only when, it should."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextvars import ContextVar
from typing import Any

import pytest

from app.errors import InternalError, ShuttingDown
from app.runs.events import Event, RunFailed, Token
from app.runs.handle import RunHandle
from tests.logged import capture_logs

who: ContextVar[str] = ContextVar("who", default="nobody")
Work = Callable[[RunHandle], Coroutine[Any, Any, None]]


def says(*words: str) -> Work:
    async def work(run: RunHandle) -> None:
        for word in words:
            run.emit(Token(word))
            await asyncio.sleep(0)

    return work


class Stuck:
    """Says one word and then nothing, until it is cancelled."""

    def __init__(self, word: str = "") -> None:
        self._word = word
        self.began = asyncio.Event()
        self.cancelled = False

    async def __call__(self, run: RunHandle) -> None:
        if self._word:
            run.emit(Token(self._word))
        self.began.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise


def others() -> set[asyncio.Task[Any]]:
    return {task for task in asyncio.all_tasks() if task is not asyncio.current_task()}


async def read(run: RunHandle) -> list[Event]:
    async with run:
        return [event async for event in run]


async def test_events_come_in_order_and_then_the_run_is_over() -> None:
    run = RunHandle(says("a", "b", "c"))
    assert not run.over
    assert await read(run) == [Token("a"), Token("b"), Token("c")]
    assert run.over
    assert not others()


async def test_a_run_without_events_is_over_at_once() -> None:
    assert await read(RunHandle(says())) == []


async def test_events_that_wait_are_read_after_the_work_is_done() -> None:
    run = RunHandle(says("a", "b")).begin()
    await asyncio.wait(others())
    assert not run.over
    assert await read(run) == [Token("a"), Token("b")]


async def test_take_gives_what_is_ready_and_wait_returns_when_something_is() -> None:
    go = asyncio.Event()

    async def work(run: RunHandle) -> None:
        run.emit(Token("a"))
        run.emit(Token("b"))
        await go.wait()
        run.emit(Token("c"))

    async with RunHandle(work) as run:
        assert run.take() == []
        await run.wait()
        assert run.take() == [Token("a"), Token("b")]
        assert run.take() == []
        go.set()
        await run.wait()
        assert run.take() == [Token("c")]
        await run.wait()
        assert run.over
        await run.wait()  # nothing will come, so nothing is waited for


async def test_wait_returns_at_once_while_something_is_ready() -> None:
    async with RunHandle(Stuck("a")) as run:
        await run.wait()
        await asyncio.wait_for(run.wait(), 5)
        assert run.take() == [Token("a")]


async def test_wake_lets_the_reader_go_who_waits() -> None:
    async with RunHandle(Stuck()) as run:
        reader = asyncio.create_task(run.wait())
        await asyncio.sleep(0)
        run.wake()
        await asyncio.wait_for(reader, 5)
        assert run.take() == []
        assert not run.over


async def test_a_reader_that_was_cancelled_can_come_again() -> None:
    async with RunHandle(says("a", "b")) as run:
        reader = asyncio.create_task(run.wait())
        await asyncio.sleep(0)
        reader.cancel()
        await asyncio.wait([reader])
        await run.wait()
        assert run.take()[0] == Token("a")


async def test_iterating_goes_on_after_a_wake_without_an_event() -> None:
    go = asyncio.Event()

    async def work(run: RunHandle) -> None:
        await go.wait()
        run.emit(Token("a"))

    async with RunHandle(work) as run:
        first = asyncio.create_task(anext(run))
        await asyncio.sleep(0)
        run.wake()
        await asyncio.sleep(0.01)
        assert not first.done()
        go.set()
        assert await first == Token("a")


@pytest.mark.parametrize("begun", [False, True])
async def test_a_run_cancelled_before_its_first_step_does_nothing(begun: bool) -> None:
    work = Stuck("a")
    run = RunHandle(work)
    if begun:
        run.begin()
    run.cancel()
    assert await read(run) == []
    assert not work.began.is_set()


async def test_a_run_cancelled_midway_ends_without_another_event() -> None:
    work = Stuck("a")
    run = RunHandle(work).begin()
    await work.began.wait()
    run.cancel()
    assert await read(run) == [Token("a")]
    assert work.cancelled
    assert not others()


@pytest.mark.parametrize("midway", [False, True])
async def test_fail_gives_its_error_as_the_last_event(midway: bool) -> None:
    work = Stuck("a")
    run = RunHandle(work)
    if midway:
        run.begin()
        await work.began.wait()
    error = ShuttingDown("bye")
    run.fail(error)
    assert await read(run) == [*([Token("a")] if midway else []), RunFailed(error)]


@pytest.mark.parametrize("turns", range(6))
async def test_a_run_is_not_over_before_its_last_event_was_there(turns: int) -> None:
    run = RunHandle(Stuck()).begin()
    await asyncio.sleep(0)
    run.fail(ShuttingDown("bye"))
    for _ in range(turns):  # a reader may come at any turn of the event loop
        await asyncio.sleep(0)
    events: list[Event] = []
    while not run.over:
        await run.wait()
        events += run.take()
    assert [type(event) for event in events] == [RunFailed]


@pytest.mark.parametrize("turns", range(6))
async def test_an_iterator_meets_the_last_event_whenever_it_comes(turns: int) -> None:
    run = RunHandle(Stuck()).begin()
    await asyncio.sleep(0)
    run.fail(ShuttingDown("bye"))
    for _ in range(turns):
        await asyncio.sleep(0)
    assert [type(event) async for event in run] == [RunFailed]


async def test_fail_after_the_end_changes_nothing() -> None:
    run = RunHandle(says("a"))
    assert await read(run) == [Token("a")]
    run.fail(ShuttingDown("bye"))
    run.cancel()
    await asyncio.sleep(0)
    assert run.over


async def test_a_crash_is_an_internal_error_that_tells_nothing_and_a_log_line_that_tells_all() -> None:
    async def work(run: RunHandle) -> None:
        run.emit(Token("a"))
        raise LookupError("the password is swordfish")

    with capture_logs() as logs:
        events = await read(RunHandle(work))
    match events:
        case [Token("a"), RunFailed(InternalError() as error)]:
            assert "swordfish" not in error.detail
        case _:
            raise AssertionError(events)
    [line] = logs
    assert (line["event"], line["log_level"]) == ("run.crashed", "error")
    assert "LookupError" in line["exception"]


async def test_a_cancellation_that_nobody_asked_for_is_a_crash() -> None:
    async def work(_: RunHandle) -> None:
        raise asyncio.CancelledError

    with capture_logs() as logs:
        events = await read(RunHandle(work))
    assert [type(event) for event in events] == [RunFailed]
    assert [line["event"] for line in logs] == ["run.crashed"]


async def test_leaving_the_block_cancels_the_run_and_waits_for_it() -> None:
    work = Stuck("a")

    async def leave() -> None:
        async with RunHandle(work) as run:
            assert await anext(run) == Token("a")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await leave()
    assert work.cancelled
    assert not others()


async def test_leaving_the_block_waits_for_a_run_that_cleans_up() -> None:
    cleaned = False

    async def work(_: RunHandle) -> None:
        nonlocal cleaned
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.02)
            cleaned = True

    async with RunHandle(work):
        await asyncio.sleep(0)
    assert cleaned


async def test_a_run_that_fails_while_it_is_being_left_is_logged_and_raises_nothing() -> None:
    async def work(_: RunHandle) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise LookupError

    with capture_logs() as logs:
        async with RunHandle(work):
            await asyncio.sleep(0)
    assert [line["event"] for line in logs] == ["run.crashed"]
    gc.collect()  # an exception that nobody looked at would be reported now


@pytest.mark.parametrize("end", ["done", "cancelled", "crashed", "failed"])
@pytest.mark.parametrize("read_", [read, RunHandle.complete])
async def test_a_run_is_known_to_go_on_from_its_begin_to_its_end(
    end: str, read_: Callable[[RunHandle], Coroutine[Any, Any, list[Event]]]
) -> None:
    going_on: set[RunHandle] = set()

    async def work(run: RunHandle) -> None:
        assert going_on == {run}
        if end == "crashed":
            raise LookupError
        if end == "cancelled":
            asyncio.get_running_loop().call_soon(run.cancel)
        if end == "failed":
            asyncio.get_running_loop().call_soon(run.fail, ShuttingDown("bye"))
        await asyncio.sleep(0.01)

    run = RunHandle(work, going_on)
    assert not going_on
    with capture_logs():
        await read_(run)
    assert not going_on


async def test_the_work_has_the_context_that_the_run_was_begun_in() -> None:
    async def work(run: RunHandle) -> None:
        run.emit(Token(who.get()))

    token = who.set("ada")
    run = RunHandle(work).begin()
    who.reset(token)
    assert await read(run) == [Token("ada")]


async def test_a_run_completes_in_its_callers_task() -> None:
    async def work(run: RunHandle) -> None:
        run.emit(Token("a"))
        assert not others()
        await asyncio.sleep(0)
        run.emit(Token("b"))

    run = RunHandle(work)
    assert await run.complete() == [Token("a"), Token("b")]
    assert run.over


@pytest.mark.parametrize("again", [False, True])
async def test_a_run_that_is_cancelled_ends_early_and_leaves_its_caller_alone(again: bool) -> None:
    work = Stuck("a")
    run = RunHandle(work)

    async def leave() -> None:
        await work.began.wait()
        run.cancel()
        if again:
            run.fail(ShuttingDown("bye"))
            run.cancel()

    leaving = asyncio.create_task(leave())
    assert await run.complete() == [Token("a"), *([RunFailed(run.failed_by)] if run.failed_by else [])]
    await leaving
    assert work.cancelled
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    run.cancel()
    await asyncio.sleep(0.01)  # where a cancellation that came too late would be met


async def test_a_run_that_fails_completes_with_its_error() -> None:
    work = Stuck("a")
    run = RunHandle(work)
    error = ShuttingDown("bye")
    asyncio.get_running_loop().call_soon(run.fail, error)
    assert await run.complete() == [Token("a"), RunFailed(error)]


@pytest.mark.parametrize("also", [False, True])
async def test_a_caller_that_is_cancelled_is_and_its_run_with_it(also: bool) -> None:
    work = Stuck()
    run = RunHandle(work)
    caller = asyncio.create_task(run.complete())
    await work.began.wait()
    if also:
        run.cancel()
    caller.cancel()
    await asyncio.wait([caller])
    assert caller.cancelled()
    assert work.cancelled
    assert run.over


async def test_a_deadline_around_a_run_is_told_from_the_runs_own_end() -> None:
    run = RunHandle(Stuck())
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await run.complete()
    assert run.over


async def test_a_run_that_crashes_completes_with_an_internal_error() -> None:
    async def work(_: RunHandle) -> None:
        raise LookupError

    with capture_logs() as logs:
        events = await RunHandle(work).complete()
    assert [type(event) for event in events] == [RunFailed]
    assert [line["event"] for line in logs] == ["run.crashed"]


async def test_a_run_that_crashes_when_it_is_ended_leaves_its_caller_alone() -> None:
    async def work(run: RunHandle) -> None:
        asyncio.get_running_loop().call_soon(run.fail, ShuttingDown("bye"))
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError from None

    with capture_logs() as logs:
        events = await RunHandle(work).complete()
    assert [type(event) for event in events] == [RunFailed]
    assert [line["event"] for line in logs] == ["run.crashed"]
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


class TestOutliving:
    """A run that others wait for goes on when its reader leaves, until they have left as well."""

    @pytest.fixture
    def ends(self) -> list[Callable[[], None]]:
        """What ends the run when nobody waits any more."""
        return []

    @pytest.fixture
    def work(self) -> "Stuck":
        return Stuck("a")

    @pytest.fixture
    def run(self, work: "Stuck", ends: list[Callable[[], None]]) -> RunHandle:
        def outlive(end: Callable[[], None]) -> bool:
            ends.append(end)
            return True

        return RunHandle(work, outlive=outlive)

    @pytest.mark.parametrize("read_", [read, RunHandle.complete])
    async def test_it_ends_when_it_is_told_that_nobody_waits(
        self,
        run: RunHandle,
        work: "Stuck",
        ends: list[Callable[[], None]],
        read_: Callable[[RunHandle], Coroutine[Any, Any, list[Event]]],
    ) -> None:
        reading = asyncio.create_task(read_(run))
        await work.began.wait()
        run.cancel()
        await asyncio.sleep(0.02)
        assert run.left
        assert not reading.done()
        ends[0]()
        ends[0]()
        assert await asyncio.wait_for(reading, 5) == [Token("a")]
        assert work.cancelled

    @pytest.mark.parametrize("read_", [read, RunHandle.complete])
    async def test_it_fails_as_any_other(
        self, run: RunHandle, work: "Stuck", read_: Callable[[RunHandle], Coroutine[Any, Any, list[Event]]]
    ) -> None:
        reading = asyncio.create_task(read_(run))
        await work.began.wait()
        run.cancel()
        error = ShuttingDown("bye")
        run.fail(error)
        assert await asyncio.wait_for(reading, 5) == [Token("a"), RunFailed(error)]

    async def test_who_waits_for_events_is_told_that_the_reader_has_left(self, run: RunHandle, work: "Stuck") -> None:
        async with run:
            await work.began.wait()
            run.take()
            waiting = asyncio.create_task(run.wait())
            await asyncio.sleep(0)
            run.cancel()
            await asyncio.wait_for(waiting, 5)
            assert not run.over
            run.fail(ShuttingDown("bye"))

    async def test_a_reader_that_is_cancelled_takes_it_along(self, run: RunHandle, work: "Stuck") -> None:
        async def leave() -> None:
            async with run:
                await asyncio.Event().wait()

        reading = asyncio.create_task(leave())
        await work.began.wait()
        reading.cancel()
        await asyncio.wait([reading], timeout=5)
        assert work.cancelled
