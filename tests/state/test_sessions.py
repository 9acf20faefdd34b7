"""Histories of sessions: whole turns, so many and for so long, and nobody else's."""

import asyncio
from collections.abc import Awaitable

import pytest

from app.errors import StateUnavailable
from app.messages import AssistantMessage, ToolCall, ToolMessage, Turn, UserMessage
from app.state.bounds import Bounds
from app.state.sessions import Sessions
from app.state.store import Store
from tests.doubles import AbsentStore
from tests.logged import capture_logs


def turn(number: int) -> Turn:
    return Turn(
        f"message-{number}",
        1_700_000_000.5,
        (
            UserMessage(f"{number} ünd \x00 \U0001f600"),
            AssistantMessage("Let me see.", (ToolCall("1", "double", {"number": 2**70, "of": [None, 0.1]}),)),
            ToolMessage("1", "double", "No.", is_error=True),
            AssistantMessage("", (ToolCall("2", "double", {}, malformed="{"),)),
            ToolMessage("2", "double", "8"),
            AssistantMessage("8"),
        ),
    )


@pytest.fixture
def sessions(store: Store) -> Sessions:
    return Sessions(store, Bounds(ttl_seconds=100, max_turns=3))


async def test_what_was_said_comes_back_as_it_was(sessions: Sessions) -> None:
    assert await sessions.load("ada", "s") == []
    await sessions.append("ada", "s", turn(1))
    await sessions.append("ada", "s", turn(2))
    assert await sessions.load("ada", "s") == [turn(1), turn(2)]


async def test_the_oldest_turns_go_first(sessions: Sessions) -> None:
    for number in range(5):
        await sessions.append("ada", "s", turn(number))
    assert await sessions.load("ada", "s") == [turn(2), turn(3), turn(4)]


async def test_a_turn_that_is_appended_again_counts_once(sessions: Sessions) -> None:
    """By a run that goes on in another process, which cannot know whether the first one has kept it."""
    for _ in range(2):
        await sessions.append("ada", "s", turn(1), began=5)
    assert await sessions.load("ada", "s") == [turn(1)]


async def test_turns_that_are_appended_together_are_all_kept(sessions: Sessions) -> None:
    await asyncio.gather(*(sessions.append("ada", "s", turn(number)) for number in range(3)))
    assert {kept.message_id for kept in await sessions.load("ada", "s")} == {"message-0", "message-1", "message-2"}


async def test_a_session_is_kept_for_so_long_after_its_last_turn(sessions: Sessions, store: Store) -> None:
    await sessions.append("ada", "s", turn(1))
    keys = await store.call("KEYS", "*")
    assert len(keys) == 3
    for key in keys:
        assert 95 <= await store.call("TTL", key) <= 100
        await store.call("EXPIRE", key, 7)
    await sessions.append("ada", "s", turn(2))
    for key in keys:
        assert 95 <= await store.call("TTL", key) <= 100


async def test_the_sessions_of_users_are_apart(sessions: Sessions) -> None:
    await sessions.append("ada", "s", turn(1))
    await sessions.append("bob", "s", turn(2))
    await sessions.append("ada", "t", turn(3))
    assert await sessions.load("bob", "s") == [turn(2)]
    assert await sessions.delete("bob", "s")
    assert await sessions.load("ada", "s") == [turn(1)]
    assert await sessions.load("ada", "t") == [turn(3)]
    assert await sessions.load("eve", "s") == []


async def test_deleting_tells_whether_there_was_something(sessions: Sessions) -> None:
    assert not await sessions.delete("ada", "s")
    await sessions.append("ada", "s", turn(1))
    assert await sessions.delete("ada", "s")
    assert await sessions.load("ada", "s") == []


@pytest.mark.parametrize(
    "row",
    [
        b"",
        b"{}",
        b'{"message_id": "m", "created_at": 1, "messages": [{"role": "system", "content": ""}]}',
        b'{"message_id": "m", "created_at": 1, "messages": [{"role": "user", "content": "\xff"}]}',
        b'{"message_id": "m", "created_at": 1, "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"message_id": "m", "created_at": 1, "messages": [{"role": "user", "content": "", "more": '
        + b"[" * 100_000
        + b"]" * 100_000
        + b"}]}",
    ],
    ids=["empty", "nothing in it", "another role", "not UTF-8", "a lone surrogate", "bottomless"],
)
async def test_what_cannot_be_read_is_left_out_with_a_warning(sessions: Sessions, store: Store, row: bytes) -> None:
    await sessions.append("ada", "s", turn(1))
    await store.call("HSET", "session:{ada}:s", "9", row)
    await sessions.append("ada", "s", turn(2))
    with capture_logs() as logs:
        assert await sessions.load("ada", "s") == [turn(1), turn(2)]
    [line] = logs
    assert (line["event"], line["log_level"], line["session_id"]) == ("session.turn_unreadable", "warning", "s")


async def test_a_store_that_is_away_is_told() -> None:
    sessions = Sessions(AbsentStore(), Bounds(ttl_seconds=100, max_turns=3))
    calls: list[Awaitable[object]] = [
        sessions.load("ada", "s"),
        sessions.recall("ada", "s"),
        sessions.append("ada", "s", turn(1)),
        sessions.delete("ada", "s"),
        sessions.list("ada", 10),
    ]
    for call in calls:
        with pytest.raises(StateUnavailable):
            await call
