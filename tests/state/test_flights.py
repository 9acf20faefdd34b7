"""Single flight: of equal requests one makes the answer, in this process and between processes."""

import asyncio
from collections.abc import Callable

import pytest

from app.errors import StateUnavailable
from app.settings import load
from app.state import answer_cache
from app.state.answer_cache import AnswerCache, Found, KeptAnswer
from app.state.flights import Flight, Flights
from app.state.store import Store
from tests.doubles import AbsentStore

pytestmark = pytest.mark.usefixtures("written")
ANSWER = KeptAnswer("42", "double/scripted")
Pod = Callable[[], Flights]


@pytest.fixture
def pod(store: Store) -> Pod:
    """Another process, as far as these requests can tell."""
    return lambda: Flights(AnswerCache(store, load(None)))


def asks(flights: Flights, who: str) -> tuple[Flight, asyncio.Task[Found]]:
    flight = flights.begin("k", who, 60)
    return flight, asyncio.create_task(flight.find())


async def leads(flights: Flights, who: str = "leader") -> Flight:
    flight = flights.begin("k", who, 60)
    assert (await flight.find()).status == "lead"
    return flight


@pytest.mark.parametrize("same", [True, False])
async def test_the_others_are_given_the_answer_of_the_first(pod: Pod, same: bool) -> None:
    first = pod()
    leader = await leads(first)
    others = [asks(first if same else pod(), f"follower-{number}") for number in range(5)]
    await asyncio.sleep(0.1)
    assert not any(task.done() for _, task in others)
    leader.land(ANSWER, 60)
    for flight, task in others:
        assert (await asyncio.wait_for(task, 5)).answer == ANSWER
        assert flight.absent
    assert not first.heads


@pytest.mark.parametrize("same", [True, False])
async def test_when_the_leader_leaves_exactly_one_of_the_others_leads(pod: Pod, same: bool) -> None:
    first = pod()
    leader = await leads(first)
    others = [asks(first if same else pod(), f"follower-{number}") for number in range(4)]
    await asyncio.sleep(0.05)
    leader.leave()
    await asyncio.sleep(0.5)
    [(heir, task)] = [(flight, task) for flight, task in others if task.done()]
    assert (await task).status == "lead"
    heir.land(ANSWER, 60)
    for flight, other in others:
        assert flight is heir or (await asyncio.wait_for(other, 5)).answer == ANSWER


async def test_when_the_answer_may_not_be_kept_nobody_waits_any_longer(pod: Pod) -> None:
    first = pod()
    leader = await leads(first)
    others = [asks(flights, f"follower-{number}") for number, flights in enumerate((first, first, pod()))]
    await asyncio.sleep(0.05)
    leader.land(None, 60)
    for _, task in others:
        assert (await asyncio.wait_for(task, 5)).status == "alone"
    assert (await pod().begin("k", "late", 60).find()).status == "alone"


async def test_a_lead_is_held_as_long_as_its_process_lives_and_then_taken_over(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_cache, "LEAD_SECONDS", 1.0)
    leader = await leads(pod())
    flight, task = asks(pod(), "follower")
    await asyncio.sleep(2.5)
    assert not task.done()
    monkeypatch.setattr(leader, "_renew", lambda: None)
    leader._renewal.cancel()  # type: ignore[union-attr]  # as if the process had been killed
    assert (await asyncio.wait_for(task, 10)).status == "lead"
    flight.leave()


@pytest.mark.parametrize("after", [0.0, 0.05])
async def test_whoever_leaves_leaves_nothing_behind(pod: Pod, store: Store, after: float) -> None:
    first = pod()
    leader = await leads(first)
    others = [asks(flights, f"follower-{number}") for number, flights in enumerate((first, pod(), pod()))]
    await asyncio.sleep(after)
    for flight, task in others:
        task.cancel()
        await asyncio.wait([task])
        flight.leave()
    leader.leave()
    lost, task = asks(pod(), "lost")  # the store gives it the lead while it leaves
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task])
    lost.leave()
    unread = first.begin("k", "unread", 60)
    unread.leave()
    await asyncio.sleep(0.2)
    assert await store.call("KEYS", "answer*") == []
    assert not first.heads


@pytest.mark.parametrize("same", [True, False])
async def test_a_leader_without_a_client_is_told_when_nobody_waits_any_more(pod: Pod, store: Store, same: bool) -> None:
    first, ended = pod(), asyncio.Event()
    leader = await leads(first)
    others = [asks(first if same else pod(), f"follower-{number}") for number in range(2)]
    await asyncio.sleep(0.1)
    assert leader.outlive(ended.set)
    assert leader.outlive(ended.set)
    for flight, task in others:
        await asyncio.sleep(0.6)
        assert not ended.is_set()
        task.cancel()
        await asyncio.wait([task])
        flight.leave()
    await asyncio.wait_for(ended.wait(), 5)
    leader.leave()
    await asyncio.sleep(0.1)
    assert await store.call("KEYS", "answer*") == []


async def test_nobody_outlives_their_client_but_a_leader(pod: Pod) -> None:
    first = pod()
    leader, ended = await leads(first), asyncio.Event()
    flight, task = asks(pod(), "follower")
    await asyncio.sleep(0.05)
    assert not flight.outlive(ended.set)
    leader.land(ANSWER, 60)
    assert not leader.outlive(ended.set)
    assert (await task).answer == ANSWER


async def test_a_follower_that_died_holds_a_leader_up_no_longer_than_a_lead(
    pod: Pod, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answer_cache, "LEAD_SECONDS", 1.0)
    leader, ended = await leads(pod()), asyncio.Event()
    _, task = asks(pod(), "follower")
    await asyncio.sleep(0.1)
    task.cancel()  # it never leaves, as if its process had been killed
    monkeypatch.setattr(AnswerCache, "release", lambda *_, **__: None)
    await asyncio.wait([task])
    assert leader.outlive(ended.set)
    await asyncio.wait_for(ended.wait(), 5)
    monkeypatch.undo()
    leader.leave()


async def test_without_a_store_nobody_elsewhere_waits(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    leader, ended = await leads(pod()), asyncio.Event()
    asked = asyncio.Event()

    async def away(*_: object) -> bool:
        asked.set()
        raise StateUnavailable("away")

    monkeypatch.setattr(leader._cache, "awaited", away)
    assert leader.outlive(ended.set)
    await asyncio.wait_for(ended.wait(), 5)
    assert asked.is_set()
    leader.leave()


async def test_who_comes_while_another_asks_is_given_what_that_one_finds(pod: Pod) -> None:
    first = pod()
    first.cache.keep("k", "a", ANSWER, 60)
    await first.cache.aclose()
    tasks = [asks(first, str(number)) for number in range(3)]
    for flight, task in tasks:
        assert (await task).answer == ANSWER
        assert not flight.absent


async def test_without_a_store_all_are_told_so_at_once() -> None:
    flights = Flights(AnswerCache(AbsentStore(), load(None)))
    tasks = [asks(flights, str(number)) for number in range(3)]
    for flight, task in tasks:
        with pytest.raises(StateUnavailable):
            await task
        flight.leave()
    assert not flights.heads
