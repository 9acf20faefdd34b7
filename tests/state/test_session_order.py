"""Sessions and time: turns in the order of their questions, and what happens to runs whose session is deleted."""

import asyncio

import pytest

from app.messages import AssistantMessage, Turn, UserMessage
from app.state.bounds import Bounds
from app.state.sessions import NEW, Sessions
from app.state.store import Store
from tests.doubles import AbsentStore
from tests.logged import capture_logs


def turn(name: str) -> Turn:
    return Turn(name, 1_700_000_000.5, (UserMessage("hi"), AssistantMessage("hello")))


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store, Bounds(ttl_seconds=100, max_turns=3, run_seconds=20))


async def kept(sessions: Sessions, session_id: str = "s") -> list[str]:
    return [turn.message_id for turn in await sessions.load("ada", session_id)]


async def test_turns_stand_in_the_order_of_their_questions(sessions: Sessions) -> None:
    first = (await sessions.recall("ada", "s")).at
    second = (await sessions.recall("ada", "s")).at
    assert first < second
    await sessions.append("ada", "s", turn("second"), began=second)
    await sessions.append("ada", "s", turn("first"), began=first)
    await sessions.append("ada", "s", turn("new"), began=NEW)
    assert await kept(sessions) == ["new", "first", "second"]


async def test_the_oldest_question_goes_first_whenever_it_was_answered(sessions: Sessions) -> None:
    began = [(await sessions.recall("ada", "s")).at for _ in range(5)]
    for place in (4, 1, 3, 0, 2):
        await sessions.append("ada", "s", turn(str(place)), began=began[place])
    assert await kept(sessions) == ["2", "3", "4"]


async def test_a_deleted_session_does_not_come_back(sessions: Sessions) -> None:
    await sessions.append("ada", "s", turn("old"))
    began = (await sessions.recall("ada", "s")).at
    assert await sessions.delete("ada", "s")
    assert not await sessions.append("ada", "s", turn("late"), began=began)
    assert await kept(sessions) == []
    assert await sessions.list("ada", 10) == []


async def test_a_session_that_is_deleted_during_its_first_run_does_not_come_into_being(sessions: Sessions) -> None:
    assert not await sessions.delete("ada", "s")
    assert not await sessions.append("ada", "s", turn("late"), began=NEW)
    assert await kept(sessions) == []


async def test_a_run_that_begins_after_the_deletion_writes(sessions: Sessions) -> None:
    await sessions.append("ada", "s", turn("old"))
    await sessions.delete("ada", "s")
    began = (await sessions.recall("ada", "s")).at
    assert await sessions.append("ada", "s", turn("new"), began=began)
    assert await sessions.append("ada", "t", turn("other"), began=NEW)
    assert (await kept(sessions), await kept(sessions, "t")) == (["new"], ["other"])


async def test_deletions_are_remembered_as_long_as_a_run_may_take(sessions: Sessions, store: Store) -> None:
    for session_id in ("s", "t"):
        await sessions.delete("ada", session_id)
    [key] = await store.call("KEYS", "*")
    assert 15 <= await store.call("TTL", key) <= 20
    assert await store.call("ZCARD", key) == 2
    await store.call("ZADD", key, 1, "session:{ada}:s")  # long ago
    await sessions.delete("ada", "u")
    assert await store.call("ZCARD", key) == 2


async def test_a_turn_can_be_written_in_the_background(sessions: Sessions) -> None:
    sessions.append_later("ada", "s", turn("cut"), began=NEW, address="")
    await asyncio.sleep(0)
    await sessions.aclose()
    assert await kept(sessions) == ["cut"]


async def test_a_turn_that_cannot_be_written_in_the_background_is_told() -> None:
    sessions = Sessions(AbsentStore(), Bounds(ttl_seconds=100, max_turns=3))
    with capture_logs() as logs:
        sessions.append_later("ada", "s", turn("cut"), began=NEW, address="")
        await sessions.aclose()
        await asyncio.sleep(0)
    assert [(line["event"], line["error"]) for line in logs] == [("session.turn_lost", "ConnectionError('away')")]
