"""The shared connection: each reply finds its caller, whoever has left and however the bytes are cut."""

import asyncio
from collections.abc import Iterable
from itertools import pairwise
from typing import Any

import hiredis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import StateUnavailable
from app.state import redis
from app.state.address import Address
from app.state.connection import Connection
from tests.redis_server import RedisServer


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False

    def write(self, data: "bytes | bytearray | memoryview[Any]") -> None:
        self.written.append(bytes(data))

    def abort(self) -> None:
        self.aborted = True

    def commands(self) -> list[list[bytes]]:
        reader = hiredis.Reader()
        reader.feed(b"".join(self.written))
        commands = []
        while (command := reader.gets()) is not False:
            commands.append(command)
        return commands


def connected() -> tuple[Connection, Wire]:
    connection, wire = Connection(), Wire()
    connection.connection_made(wire)
    return connection, wire


def pieces(data: bytes, cuts: Iterable[int]) -> Iterable[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return (data[start:end] for start, end in pairwise(places))


def cause_of(future: asyncio.Future[Any]) -> BaseException | None:
    error = future.exception()
    assert isinstance(error, StateUnavailable)
    return error.__cause__


class Plan:
    """Commands in several turns of the event loop; some callers leave, before or after their command is sent."""

    def __init__(self, turns: list[list[str]], cuts: list[int]) -> None:
        self._turns = turns
        self._cuts = cuts

    async def run(self) -> None:
        connection, wire = connected()
        futures: list[asyncio.Future[Any]] = []
        for turn in self._turns:
            for when in turn:
                futures.append(connection.call(("ECHO", len(futures))))
                if when == "leaves at once":
                    futures[-1].cancel()
            await asyncio.sleep(0)
        writes = sum(bool(turn) for turn in self._turns)
        assert writes <= len(wire.written) <= writes + 1, "one write a turn of the loop, and at most one head start"
        assert wire.commands() == [[b"ECHO", b"%d" % number] for number in range(len(futures))]
        ends = [when for turn in self._turns for when in turn]
        for future, when in zip(futures, ends, strict=True):
            if when == "leaves later":
                future.cancel()
        replies = b"".join(
            b"-ERR %d\r\n" % number if when == "is refused" else b"$%d\r\n%d\r\n" % (len(str(number)), number)
            for number, when in enumerate(ends)
        )
        for piece in pieces(replies, self._cuts):
            connection.data_received(piece)
        for number, (future, when) in enumerate(zip(futures, ends, strict=True)):
            if when == "stays":
                assert future.result() == b"%d" % number
            elif when == "is refused":
                assert str(cause_of(future)) == f"ERR {number}"
            else:
                assert future.cancelled()
        connection.close()
        assert wire.aborted


@given(
    st.lists(st.lists(st.sampled_from(["stays", "leaves at once", "leaves later", "is refused"])), max_size=6),
    st.lists(st.integers(0, 10_000), max_size=10),
)
def test_each_reply_finds_its_caller(turns: list[list[str]], cuts: list[int]) -> None:
    asyncio.run(Plan(turns, cuts).run())


async def test_an_idle_server_gets_the_first_commands_before_the_turn_is_over() -> None:
    connection, wire = connected()
    written = []
    for _ in range(20):
        connection.call(("PING",))
        written.append(len(wire.written))
    assert written == [0] * 7 + [1] * 13
    await asyncio.sleep(0)
    assert len(wire.written) == 2
    for _ in range(20):
        connection.call(("PING",))
    assert len(wire.written) == 2, "a server that is busy has time"
    await asyncio.sleep(0)
    assert len(wire.written) == 3
    assert wire.commands() == [[b"PING"]] * 40
    connection.close()


@pytest.mark.parametrize("surplus", [b"+two\r\n", b"nonsense\r\n"])
async def test_a_server_that_is_out_of_step_is_left(surplus: bytes) -> None:
    connection, wire = connected()
    first = connection.call(("PING",))
    connection.data_received(b"+one\r\n" + surplus)
    assert first.result() == b"one"
    assert connection.closed
    assert wire.aborted
    assert isinstance(cause_of(connection.call(("PING",))), ConnectionError)


async def test_what_was_to_be_sent_on_a_connection_that_broke_is_not() -> None:
    connection, wire = connected()
    future = connection.call(("PING",))
    connection.connection_lost(OSError("unplugged"))
    await asyncio.sleep(0)
    assert wire.written == []
    assert repr(cause_of(future)) == "OSError('unplugged')"


async def test_callers_who_left_are_not_told_of_a_break() -> None:
    connection, _ = connected()
    gone, there = connection.call(("PING",)), connection.call(("PING",))
    gone.cancel()
    connection.connection_lost(None)
    assert gone.cancelled()
    assert "closed the connection" in repr(cause_of(there))


async def test_calls_that_come_while_it_connects_share_one_connection(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = 0
    open_connection = redis.open_connection

    async def counted(address: Address, make: type[Connection]) -> Connection:
        nonlocal opened
        opened += 1
        return await open_connection(address, make)

    monkeypatch.setattr(redis, "open_connection", counted)
    store = redis.connect(redis_server.url)
    calls: list[asyncio.Future[Any]] = []
    while not (calls and calls[0].done()):
        calls.append(store.call("PING"))
        await asyncio.sleep(0)
    assert await asyncio.gather(*calls) == [b"PONG"] * len(calls)
    assert opened == 1
    await store.aclose()
    with pytest.raises(StateUnavailable):
        await store.call("PING")
    assert opened == 1
