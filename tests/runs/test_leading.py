"""A run whose answer others wait for: it goes on without its own client, and no longer than somebody waits."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.errors import ShuttingDown
from app.messages import AssistantMessage, UserMessage
from app.runs.events import Answer, Event, RunFailed, RunFinished
from app.runs.handle import RunHandle
from app.runs.request import RunRequest
from tests.doubles import ADA, USAGE, ScriptedModel, answers
from tests.stage import Stage

pytestmark = pytest.mark.usefixtures("written")
Reading = asyncio.Task[list[Event]]


@pytest.fixture
def go() -> asyncio.Event:
    """Lets the model answer."""
    return asyncio.Event()


@pytest.fixture
async def stage(go: asyncio.Event) -> AsyncIterator[Stage]:
    stage = Stage(ScriptedModel(["4", go, *answers("2")]), answer_cache=True, agents={"hasty": {"timeout_seconds": 1}})
    yield stage
    await stage.runner.aclose()


async def streamed(run: RunHandle) -> list[Event]:
    async with run:
        return [event async for event in run]


def starts(stage: Stage, *, stream: bool, other: Stage | None = None, **request: Any) -> tuple[RunHandle, Reading]:
    """A run and its reader: as a stream in a task of its own, else in its reader's."""
    run = (other or stage).runner.start(ADA, RunRequest("6 * 7?", stream=stream, **request))
    return run, asyncio.create_task(streamed(run) if stream else run.complete())


async def begun(stage: Stage) -> None:
    await asyncio.wait_for(stage.model.opened.wait(), 5)


async def until(reached: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not reached():  # noqa: ASYNC110 - a model tells nobody
            await asyncio.sleep(0.01)


def answer_of(reading: Reading) -> Answer:
    last = reading.result()[-1]
    assert isinstance(last, RunFinished), last
    return last.answer


@pytest.mark.parametrize("stream", [True, False])
async def test_it_goes_on_without_its_client_and_ends_as_any_run(stage: Stage, go: asyncio.Event, stream: bool) -> None:
    leader, reading = starts(stage, stream=stream, session_id="s")
    await begun(stage)
    followers = [starts(stage, stream=not stream)[1] for _ in range(3)]
    await asyncio.sleep(0.05)
    leader.cancel()
    await asyncio.sleep(0.6)
    assert (stage.model.open, len(stage.model.requests)) == (1, 1)
    go.set()
    await asyncio.wait_for(asyncio.wait([reading, *followers]), 5)
    assert [(answer_of(one).answer, answer_of(one).cached) for one in followers] == [("42", True)] * 3
    if not stream:
        assert (answer_of(reading).usage, answer_of(reading).cached) == (USAGE, False)
    [turn] = await stage.remembered("s")
    assert turn.messages == (UserMessage("6 * 7?"), AssistantMessage("42"))
    assert len(stage.model.requests) == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("elsewhere", [True, False])
async def test_it_ends_when_those_who_wait_have_left_too(stage: Stage, stream: bool, elsewhere: bool) -> None:
    other = Stage(ScriptedModel(answers("other")), store=stage.store, answer_cache=True) if elsewhere else None
    leader, reading = starts(stage, stream=stream)
    await begun(stage)
    follower, following = starts(stage, stream=True, other=other)
    await asyncio.sleep(0.1)
    leader.cancel()
    await asyncio.sleep(0.6)
    assert stage.model.open == 1
    follower.cancel()
    await asyncio.wait_for(asyncio.wait([reading, following]), 5)
    assert stage.model.open == 0
    assert other is None or not other.model.requests
    for pod in (stage, *([other] if other else [])):
        await pod.answers.aclose()
    assert await stage.store.call("KEYS", "answer*") == []


@pytest.mark.parametrize("stream", [True, False])
async def test_it_ends_at_once_when_nobody_waits(stage: Stage, stream: bool) -> None:
    leader, reading = starts(stage, stream=stream)
    await begun(stage)
    leader.cancel()
    await asyncio.wait_for(asyncio.wait([reading]), 1)
    assert stage.model.open == 0


async def test_processes_share_the_answer_of_a_run_without_a_client(stage: Stage, go: asyncio.Event) -> None:
    other = Stage(ScriptedModel(answers("other")), store=stage.store, answer_cache=True)
    leader, reading = starts(stage, stream=True)
    await begun(stage)
    _, following = starts(stage, stream=False, other=other)
    await asyncio.sleep(0.1)
    leader.cancel()
    await asyncio.sleep(1)
    go.set()
    await asyncio.wait_for(asyncio.wait([reading, following]), 5)
    assert (answer_of(following).answer, answer_of(following).cached) == ("42", True)
    assert not other.model.requests


@pytest.mark.parametrize("stream", [True, False])
async def test_a_drain_ends_it_and_tells_who_waits(stage: Stage, stream: bool) -> None:
    leader, reading = starts(stage, stream=stream)
    await begun(stage)
    _, following = starts(stage, stream=True)
    await asyncio.sleep(0.05)
    leader.cancel()
    await asyncio.sleep(0.05)
    await stage.runner.aclose()
    await asyncio.wait_for(asyncio.wait([reading, following]), 5)
    last = following.result()[-1]
    assert isinstance(last, RunFailed)
    assert isinstance(last.error, ShuttingDown)
    assert stage.model.open == 0


async def test_its_deadline_ends_it_and_the_next_leads(stage: Stage, go: asyncio.Event) -> None:
    leader, reading = starts(stage, stream=True, agent="hasty")
    await begun(stage)
    await asyncio.sleep(0.5)
    _, following = starts(stage, stream=False, agent="hasty")
    await asyncio.sleep(0.05)
    leader.cancel()
    await until(lambda: len(stage.model.requests) == 2)
    go.set()
    await asyncio.wait_for(asyncio.wait([reading, following]), 5)
    assert (answer_of(following).answer, answer_of(following).cached) == ("42", False)


@pytest.mark.parametrize("stream", [True, False])
async def test_a_reader_that_is_cancelled_ends_it_all_the_same(stage: Stage, stream: bool) -> None:
    leader, reading = starts(stage, stream=stream)
    await begun(stage)
    _, following = starts(stage, stream=True)
    await asyncio.sleep(0.05)
    if stream:
        leader.cancel()
        await asyncio.sleep(0.05)
    reading.cancel()
    await asyncio.wait_for(asyncio.wait([reading]), 1)
    await until(lambda: len(stage.model.requests) == 2)  # of who waited
    following.cancel()
    await asyncio.wait([following])
