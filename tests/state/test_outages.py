"""A server that goes, hangs or talks nonsense: told quickly, and forgotten as soon as it is back."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any, cast

import hiredis
import pytest

from app.errors import ConfigurationError, StateUnavailable
from app.state import redis
from app.state.connection import ANSWER_SECONDS
from app.state.redis import CONNECT_SECONDS, connect
from app.state.store import Store
from tests.redis_server import RedisServer, free_port

SLACK = 3.0  # the machine may be busy


async def refused(call: Awaitable[Any]) -> tuple[float, str]:
    """After how long, and why."""
    started = monotonic()
    with pytest.raises(StateUnavailable) as caught:
        await call
    assert caught.value.retry_after
    return monotonic() - started, repr(caught.value.__cause__)


async def until_it_answers(store: Store) -> None:
    async with asyncio.timeout(10):
        while True:
            try:
                await store.call("PING")
            except StateUnavailable:
                await asyncio.sleep(0.05)
            else:
                return


Answer = Callable[[bytes], bytes | None]


class Answering(asyncio.Protocol):
    def __init__(self, answer: Answer, transports: list[asyncio.Transport]) -> None:
        self._answer = answer
        self._transports = transports

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transports.append(self._transport)

    def data_received(self, data: bytes) -> None:
        answered = self._answer(data)
        if answered is None:
            self._transport.close()
        else:
            self._transport.write(answered)


@asynccontextmanager
async def serving(answer: Answer) -> AsyncIterator[str]:
    """The address of a server that gives `answer` to whatever it reads; None closes the connection."""
    transports: list[asyncio.Transport] = []
    loop = asyncio.get_running_loop()
    async with await loop.create_server(lambda: Answering(answer, transports), "127.0.0.1", 0) as server:
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            for transport in transports:
                transport.abort()


def greeted(asked: bytes, then: bytes | None) -> bytes | None:
    return b"+PONG\r\n" if b"PING" in asked else then


async def test_nobody_there_is_told_at_once_and_not_asked_again_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "PAUSE_SECONDS", 60)
    store = connect(f"redis://127.0.0.1:{free_port()}")
    assert "ConnectionRefusedError" in (await refused(store.call("PING")))[1]
    seconds, cause = await refused(store.call("PING"))
    assert seconds < 0.5
    assert "paused" in cause
    await store.aclose()


async def test_a_server_that_is_killed_midway_is_told_quickly_and_found_again(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    waiting = [asyncio.ensure_future(store.call("BLPOP", "nothing", 0)) for _ in range(3)]
    await asyncio.sleep(0.1)
    mortal_redis.stop()
    for call in waiting:
        seconds, _ = await refused(call)
        assert seconds < ANSWER_SECONDS * 0.9
    await refused(store.call("PING"))
    mortal_redis.start()
    await until_it_answers(store)
    assert await store.call("SET", "key", "value") == b"OK"
    await store.aclose()


async def test_a_server_that_restarts_unseen_is_connected_to_anew(mortal_redis: RedisServer) -> None:
    store = connect(mortal_redis.url)
    await store.call("PING")
    mortal_redis.stop()
    mortal_redis.start()
    await asyncio.sleep(0.05)
    assert await store.call("PING") == b"PONG"
    await store.aclose()


async def test_a_server_that_hangs_is_given_up_and_calls_then_fail_fast_until_it_is_back(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis, "PAUSE_SECONDS", 1.5)
    store = connect(mortal_redis.url)
    await store.call("SET", "key", "value")
    mortal_redis.freeze()
    started = monotonic()
    hung = await asyncio.gather(*(refused(store.call("GET", "key")) for _ in range(3)))
    assert {cause for _, cause in hung} == {"TimeoutError('no answer within 2 s')"}
    assert ANSWER_SECONDS * 0.9 <= monotonic() - started < ANSWER_SECONDS + SLACK
    seconds, cause = await refused(store.call("GET", "key"))  # tries to connect again
    assert seconds < CONNECT_SECONDS + SLACK
    assert cause == "TimeoutError('no connection within 1 s')"
    seconds, cause = await refused(store.call("GET", "key"))
    assert seconds < 0.5
    assert "paused" in cause
    mortal_redis.thaw()
    await until_it_answers(store)
    assert await store.call("GET", "key") == b"value"
    await store.aclose()


async def test_the_time_that_is_waited_is_that_of_the_oldest_command() -> None:
    answers = 0

    def answer(asked: bytes) -> bytes:
        nonlocal answers
        answers += asked.count(b"ECHO")
        return b"+PONG\r\n" * asked.count(b"PING") + (b"+1\r\n" if answers == 1 else b"")

    async with serving(answer) as url:
        store = connect(url)
        assert await store.call("ECHO", "1") == b"1"
        await asyncio.sleep(ANSWER_SECONDS / 2)  # the watch that the first call began ends in the middle of this one
        seconds, _ = await refused(store.call("ECHO", "1"))
        assert ANSWER_SECONDS * 0.9 <= seconds < ANSWER_SECONDS + SLACK
        await store.aclose()


@pytest.mark.parametrize(
    ("answer", "cause"),
    [(b"HTTP/1.1 400 Bad Request\r\n\r\n", "ProtocolError"), (None, "the server closed the connection")],
)
async def test_a_server_that_is_none_is_told_and_left(answer: bytes | None, cause: str) -> None:
    async with serving(lambda asked: greeted(asked, answer)) as url:
        store = connect(url)
        assert cause in (await refused(store.call("GET", "a")))[1]
        await store.aclose()


def test_a_host_without_a_name_stops_the_start() -> None:
    with pytest.raises(ConfigurationError, match=r"^REDIS_URL: does not name a host$"):
        connect("redis://a..b:6379")


async def test_callers_share_one_connection_that_is_being_made_and_may_leave(redis_server: RedisServer) -> None:
    store = connect(redis_server.url)
    tasks = [asyncio.ensure_future(store.call("ECHO", str(number))) for number in range(10)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    assert await asyncio.gather(*tasks[1:]) == [b"%d" % number for number in range(1, 10)]
    await store.aclose()


async def test_everyone_may_leave_before_a_connection_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis, "CONNECT_SECONDS", 0.05)
    monkeypatch.setattr(redis, "PAUSE_SECONDS", 60)
    async with serving(lambda _: b"") as url:
        store = connect(url)
        task = asyncio.ensure_future(store.call("PING"))
        await asyncio.sleep(0.01)
        task.cancel()
        await asyncio.wait([task])
        connecting = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(connecting, timeout=10)
        _, cause = await refused(store.call("PING"))
        assert "paused" in cause
    gc.collect()  # an exception that nobody looked at would be reported now


async def test_a_closed_store_leaves_nothing_behind() -> None:
    before = asyncio.all_tasks()
    async with serving(lambda asked: greeted(asked, b"")) as url:
        store = connect(url)
        await store.call("PING")
        waiting = asyncio.ensure_future(store.call("GET", "a"))
        await asyncio.sleep(0.01)
        await store.aclose()
        assert "closed" in (await refused(waiting))[1]
    async with serving(lambda _: b"") as url:
        store = connect(url)
        waiting = asyncio.ensure_future(store.call("GET", "a"))
        await asyncio.sleep(0.01)
        await store.aclose()
        await asyncio.wait([waiting])
    await asyncio.sleep(0.01)
    assert asyncio.all_tasks() <= before


async def test_a_reply_error_is_the_callers_own(redis_server: RedisServer) -> None:
    store = connect(redis_server.url)
    replies: Any = await asyncio.gather(store.call("PING"), store.call("NONSENSE"), return_exceptions=True)
    assert replies[0] == b"PONG"
    assert isinstance(replies[1], StateUnavailable)
    assert isinstance(replies[1].__cause__, hiredis.ReplyError)
    await store.aclose()
