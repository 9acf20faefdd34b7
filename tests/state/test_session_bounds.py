"""What one caller can fill: so many sessions, so many bytes, and what is oldest goes first. And the list of them."""

import random

import msgspec
import pytest

from app.messages import AssistantMessage, Turn, UserMessage
from app.state.bounds import Bounds
from app.state.sessions import Sessions, SessionSummary
from app.state.store import Store

HERE, THERE = "192.0.2.1", "192.0.2.2"


def turn(name: str = "m", text: str = "hello") -> Turn:
    return Turn(name, 1_700_000_000.5, (UserMessage("hi"), AssistantMessage(text)))


SIZE = len(msgspec.json.encode(turn()))


def sessions_of(store: Store, *, anonymous: bool = False, **bounds: object) -> Sessions:
    return Sessions(store, Bounds(**{"ttl_seconds": 100, "max_turns": 100, **bounds}), anonymous=anonymous)  # type: ignore[arg-type]


async def ids(sessions: Sessions, user: str = "ada", address: str = "") -> list[str]:
    return [summary.session_id for summary in await sessions.list(user, 100, address=address)]


async def test_a_user_keeps_the_sessions_last_used(store: Store) -> None:
    sessions = sessions_of(store, sessions=3)
    for name in "abcd":
        await sessions.append("ada", name, turn())
        await sessions.append("bob", name, turn())
    await sessions.append("ada", "b", turn("again"))
    await sessions.append("ada", "e", turn())
    assert await ids(sessions) == ["e", "b", "d"]
    assert await ids(sessions, "bob") == ["d", "c", "b"]
    assert await sessions.load("ada", "c") == []
    assert len(await sessions.load("ada", "b")) == 2


async def kept_of_each(sessions: Sessions, names: str) -> list[str]:
    """The turns that the session has after each of these."""
    kept = []
    for name in names:
        await sessions.append("ada", "s", turn(name))
        kept.append("".join(turn.message_id for turn in await sessions.load("ada", "s")))
    return kept


async def test_a_session_with_too_many_turns_keeps_half_of_them_and_grows_again(store: Store) -> None:
    sessions = sessions_of(store, max_turns=5)
    assert await kept_of_each(sessions, "abcdefghi") == [
        "a",
        "ab",
        "abc",
        "abcd",
        "abcde",
        "def",
        "defg",
        "defgh",
        "ghi",
    ]


async def test_a_session_has_so_many_bytes(store: Store) -> None:
    sessions = sessions_of(store, max_bytes=SIZE * 4)
    assert await kept_of_each(sessions, "abcdefgh") == ["a", "ab", "abc", "abcd", "de", "def", "defg", "gh"]
    await sessions.append("ada", "s", turn("e", "x" * SIZE * 9))
    assert [kept.message_id for kept in await sessions.load("ada", "s")] == ["e"]
    await sessions.append("ada", "s", turn("f"))
    assert [kept.message_id for kept in await sessions.load("ada", "s")] == ["f"]


async def test_the_sessions_of_a_user_have_so_many_bytes_together(store: Store) -> None:
    sessions = sessions_of(store, total_bytes=SIZE * 5)
    for name in "abc":
        await sessions.append("ada", name, turn("1"))
        await sessions.append("ada", name, turn("2"))
    assert await ids(sessions) == ["c", "b"]
    await sessions.delete("ada", "c")
    await sessions.append("ada", "d", turn())
    assert await ids(sessions) == ["d", "b"]
    await sessions.append("ada", "d", turn("2", "x" * SIZE * 9))
    assert await ids(sessions) == ["d"]


async def test_made_up_names_share_what_their_address_may_fill(store: Store) -> None:
    sessions = sessions_of(store, anonymous=True, sessions=3)
    for number in range(20):
        await sessions.append(f"user-{number}", "s", turn(), address=HERE)
    await sessions.append("ada", "s", turn(), address=THERE)
    assert len(await store.call("KEYS", "*")) == 3 + 1 + 2 * 2
    assert [len(await sessions.load(f"user-{number}", "s")) for number in range(15, 20)] == [0, 0, 1, 1, 1]
    assert len(await sessions.load("ada", "s")) == 1


async def test_anonymous_callers_are_shown_their_own_sessions_only(store: Store) -> None:
    sessions = sessions_of(store, anonymous=True)
    await sessions.append("ada", "s", turn(), address=HERE)
    await sessions.append("ada", "t", turn(), address=THERE)
    await sessions.append("bob", "u", turn(), address=HERE)
    assert await ids(sessions, "ada", HERE) == ["s"]
    assert await ids(sessions, "bob", HERE) == ["u"]
    assert await ids(sessions, "ada") == []


async def test_what_anonymous_callers_say_is_not_what_users_said(store: Store) -> None:
    await sessions_of(store, anonymous=True).append("ada", "s", turn(), address=HERE)
    assert await sessions_of(store).load("ada", "s") == []


async def test_sessions_that_are_gone_make_room_first(store: Store) -> None:
    sessions = sessions_of(store, total_bytes=SIZE * 3)
    for name in ("gone", "a", "b", "c"):
        await sessions.append("ada", name, turn())
        await store.call("DEL", "session:{ada}:gone")
    assert await store.call("HGET", "session-sizes:{ada}", "") == str(SIZE * 3).encode()
    assert await ids(sessions) == ["c", "b", "a"]


async def test_a_session_that_begins_anew_takes_what_it_takes(store: Store) -> None:
    sessions = sessions_of(store)
    for name in ("1", "2", "3"):
        await sessions.append("ada", "s", turn(name))
    await store.call("DEL", "session:{ada}:s")
    await sessions.append("ada", "s", turn("4"))
    for field in ("", "session:{ada}:s"):
        assert await store.call("HGET", "session-sizes:{ada}", field) == str(SIZE).encode()


async def test_a_process_keeps_so_many_sessions_and_bytes_of_all(store: Store) -> None:
    sessions = sessions_of(store, in_process=(4, SIZE * 3))
    for number in range(5):
        await sessions.append(f"user-{number}", "s", turn())
    assert [len(await sessions.load(f"user-{number}", "s")) for number in range(5)] == [0, 0, 1, 1, 1]
    assert await store.call("HGET", "session-sizes", "") == str(SIZE * 3).encode()
    sessions = sessions_of(store, in_process=(2, SIZE * 100))
    await sessions.append("eve", "s", turn())
    assert await store.call("ZCARD", "sessions") == 2
    assert await store.call("HGET", "session-sizes", "") == str(SIZE * 2).encode()


async def test_sessions_are_listed_the_last_used_first(store: Store) -> None:
    sessions = sessions_of(store)
    for name in "abcde":
        await sessions.append("ada", name, turn())
    await sessions.append("ada", "b", turn("again"))
    await sessions.delete("ada", "d")
    listed = await sessions.list("ada", 100)
    assert [(summary.session_id, summary.turns) for summary in listed] == [("b", 2), ("e", 1), ("c", 1), ("a", 1)]
    assert [summary.updated_at for summary in listed] == sorted((s.updated_at for s in listed), reverse=True)
    first = await sessions.list("ada", 2)
    assert first == listed[:2]
    assert await sessions.list("ada", 2, first[-1].updated_at) == listed[2:]
    assert await sessions.list("ada", 2, listed[-1].updated_at) == []
    assert await sessions.list("bob", 2) == []


async def test_a_list_goes_past_sessions_that_are_gone(store: Store) -> None:
    sessions = sessions_of(store)
    for number in range(250):
        await sessions.append("ada", str(number), turn())
    for number in range(100, 250):
        await store.call("DEL", f"session:{{ada}}:{number}")
    assert [summary.session_id for summary in await sessions.list("ada", 3)] == ["99", "98", "97"]


def test_a_summary_is_what_the_route_shows() -> None:
    assert msgspec.json.encode(SessionSummary("s", 1.5, 2)) == b'{"session_id":"s","updated_at":1.5,"turns":2}'


@pytest.mark.parametrize("anonymous", [False, True])
async def test_keys_of_one_owner_are_in_one_slot(store: Store, anonymous: bool) -> None:
    sessions = sessions_of(store, anonymous=anonymous)
    await sessions.append("ada", "s", turn(), address=HERE)
    await sessions.delete("ada", "t", address=HERE)
    tags = {key.decode().partition("{")[2].partition("}")[0] for key in await store.call("KEYS", "*")}
    assert tags == {"anonymous" if anonymous else "ada"}


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_said_and_deleted_the_sums_are_right_and_within_bounds(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    all_of_them, each = (8, SIZE * 15), SIZE * 5
    sessions = sessions_of(
        store, sessions=5, total_bytes=SIZE * 12, max_bytes=each, max_turns=4, in_process=all_of_them
    )
    for number in range(150):
        user, name = chance.choice(["ada", "bob"]), chance.choice("abcdefgh")
        if chance.random() < 0.15:
            await sessions.delete(user, name)
        else:
            await sessions.append(user, name, turn(str(number), "x" * chance.randrange(SIZE * 3)))
        for shelf, most in (("{ada}", 5), ("{bob}", 5), ("", 8)):
            await check_shelf(store, f"sessions{shelf and ':' + shelf}", f"session-sizes{shelf and ':' + shelf}", most)


async def check_shelf(store: Store, index: str, sizes: str, most: int) -> None:
    kept = await store.call("ZRANGE", index, 0, -1)
    reply = await store.call("HGETALL", sizes)
    by_key = {key: int(size) for key, size in zip(reply[::2], reply[1::2], strict=True)}
    total = by_key.pop(b"", 0)
    assert sorted(by_key) == sorted(kept)
    assert len(kept) <= most
    assert total == sum(by_key.values())
    assert total <= SIZE * (15 if most == 8 else 12) or len(kept) == 1
    for key in kept:
        rows = await store.call("HVALS", key)
        if rows:  # else it is gone from the other shelf
            assert by_key[key] == sum(map(len, rows)) - len(str(by_key[key]))


async def test_a_turn_that_is_appended_again_is_as_it_was_said_last_and_counts_so(store: Store) -> None:
    """Two workers of one run may have had different answers: that of the one that ends it is the run's."""
    sessions = sessions_of(store)
    for text in ("a longer first answer", "the last"):
        await sessions.append("ada", "s", turn(text=text), began=5)
    assert await sessions.load("ada", "s") == [turn(text="the last")]
    kept = [key for key in await store.call("KEYS", "*") if await store.call("TYPE", key) == b"hash"]
    sizes = [size for key in kept if (size := await store.call("HGET", key, "bytes")) is not None]
    assert list(map(int, sizes)) == [len(msgspec.json.encode(turn(text="the last")))]
