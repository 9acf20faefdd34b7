"""The queues, all held to the same: each behaves alike behind the port."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from time import time
from typing import Any

import pytest

from app.durable.engine import Engine, Handler, build_engine
from app.durable.record import LATER, SOON
from app.errors import StateUnavailable
from app.settings import load
from tests import postgres_server, redis_server
from tests.logged import capture_logs
from tests.postgres_server import PostgresServer
from tests.redis_server import RedisServer

KINDS = ("in-process", "redis", "postgres")
ANY_STORE = "redis://127.0.0.1:1/0"  # that the queue of PostgreSQL has beside it


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if redis_server.BINARY is None:
        pytest.skip(redis_server.MISSING)
    server = redis_server.one_node_cluster(tmp_path_factory.mktemp("redis"))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def postgres() -> Iterator[PostgresServer]:
    if None in (postgres_server.INITDB, postgres_server.POSTGRES):
        pytest.skip(postgres_server.MISSING)
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture(params=KINDS)
def urls(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings of one kind."""
    match request.param:
        case "redis":
            server: RedisServer = request.getfixturevalue("redis")
            server.ask("FLUSHALL")
            return {"redis_url": server.url}
        case "postgres":
            return {"redis_url": ANY_STORE, "run_queue_url": request.getfixturevalue("postgres").url}
    return {}


@pytest.fixture
async def engine(urls: dict[str, str]) -> AsyncIterator[Engine]:
    built = build_engine(load(**urls))
    yield built
    await built.close()


class Heard:
    """A handler that notes what it is called for, and holds on to it until let go."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.at_once = self.most = 0
        self.going = asyncio.Event()
        self.going.set()
        self._more = asyncio.Condition()

    async def __call__(self, run_id: str) -> None:
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        async with self._more:
            self.ids.append(run_id)
            self._more.notify_all()
        await self.going.wait()
        self.at_once -= 1

    async def count(self, number: int) -> None:
        async with asyncio.timeout(30), self._more:
            await self._more.wait_for(lambda: len(self.ids) >= number)


@asynccontextmanager
async def serving(engine: Engine, handler: Handler, most: int = 10) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(engine.serve(handler, most=most))
    yield task
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_what_rings_is_heard(engine: Engine) -> None:
    heard = Heard()
    async with serving(engine, heard):
        await engine.ring("run_1")
        await heard.count(1)
    assert heard.ids == ["run_1"]


async def test_what_rang_before_anyone_served_is_heard(engine: Engine) -> None:
    heard = Heard()
    await engine.ring("run_1")
    async with serving(engine, heard):
        await heard.count(1)
    assert heard.ids == ["run_1"]


async def test_what_rings_at_a_time_is_not_heard_before_it(engine: Engine) -> None:
    heard, at = Heard(), time() + 1.2
    async with serving(engine, heard):
        await engine.ring("run_later", at=at)
        await engine.ring("run_now")
        await heard.count(1)
        assert heard.ids == ["run_now"]
        await heard.count(2)
    assert time() >= at
    assert heard.ids == ["run_now", "run_later"]


async def test_what_is_urgent_is_heard_first(engine: Engine) -> None:
    heard = Heard()
    for number in range(3):
        await engine.ring(f"run_batch_{number}", priority=LATER)
    for number in range(3):
        await engine.ring(f"run_soon_{number}", priority=SOON)
    async with serving(engine, heard, most=1):
        await heard.count(6)
    assert sorted(heard.ids[:3]) == ["run_soon_0", "run_soon_1", "run_soon_2"]
    assert sorted(heard.ids[3:]) == ["run_batch_0", "run_batch_1", "run_batch_2"]


async def test_no_more_than_so_many_go_on_at_once(engine: Engine) -> None:
    heard = Heard()
    heard.going.clear()
    for number in range(5):
        await engine.ring(f"run_{number}")
    async with serving(engine, heard, most=2):
        await heard.count(2)
        await asyncio.sleep(0.3)
        assert len(heard.ids) == 2
        heard.going.set()
        await heard.count(5)
    assert heard.most == 2


async def test_a_cancelled_server_takes_no_more_and_leaves_its_handlers_going(engine: Engine) -> None:
    heard = Heard()
    heard.going.clear()
    async with serving(engine, heard) as task:
        await engine.ring("run_1")
        await heard.count(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await engine.ring("run_2")
        await asyncio.sleep(0.3)
        assert (heard.ids, heard.at_once) == (["run_1"], 1)
        heard.going.set()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert heard.at_once == 0
    async with serving(engine, heard):
        await heard.count(2)
    assert heard.ids == ["run_1", "run_2"]


async def test_what_rings_twice_before_it_is_heard_is_heard(engine: Engine) -> None:
    heard = Heard()
    await engine.ring("run_1")
    await engine.ring("run_1")
    await engine.ring("run_2")
    async with serving(engine, heard):
        await heard.count(3)
    assert sorted(heard.ids) == ["run_1", "run_1", "run_2"]


async def test_what_rings_while_it_is_worked_on_is_heard_again(engine: Engine) -> None:
    heard = Heard()
    heard.going.clear()
    async with serving(engine, heard):
        await engine.ring("run_1")
        await heard.count(1)
        await asyncio.sleep(0.1)  # until the bell is off the queue
        await engine.ring("run_1")
        await heard.count(2)
        heard.going.set()
    assert heard.ids == ["run_1", "run_1"]


async def test_what_rings_for_later_and_then_for_now_is_heard_now(engine: Engine) -> None:
    heard = Heard()
    await engine.ring("run_1", at=time() + 3_600)
    await engine.ring("run_1")
    async with serving(engine, heard):
        await heard.count(1)


async def test_a_thousand_runs_are_heard_by_two_processes_once_each(urls: dict[str, str], engine: Engine) -> None:
    """Rung by a third one."""
    others = [build_engine(load(**urls)) for _ in range(2)] if urls else [engine]
    heard, ids = Heard(), {f"run_{number}" for number in range(1_000)}
    async with serving(others[0], heard), serving(others[-1], heard) if urls else nullcontext():
        for run_id in ids:
            await engine.ring(run_id)
        await heard.count(1_000)
    for other in others:
        await other.close()
    assert (len(heard.ids), set(heard.ids)) == (1_000, ids)


@pytest.mark.parametrize("queue", [None, "redis://127.0.0.1:1", "postgresql://127.0.0.1:1/runs"])
async def test_a_process_with_a_free_place_needs_no_queue_for_what_it_rings_itself(queue: str | None) -> None:
    engine, heard = build_engine(load(redis_url=ANY_STORE, run_queue_url=queue)), Heard()
    heard.going.clear()
    async with serving(engine, heard, most=3):
        await asyncio.sleep(0)  # until it serves
        for number in range(2):
            await engine.ring(f"run_{number}")
        await heard.count(2)
        with pytest.raises(StateUnavailable):
            await engine.ring("run_2")  # one place is kept for what the queue has
        heard.going.set()
    await engine.close()


async def test_a_handler_that_raises_ends_nothing(engine: Engine) -> None:
    heard = Heard()

    async def handler(run_id: str) -> None:
        await heard(run_id)
        raise RuntimeError

    async with serving(engine, handler):
        for run_id in ("run_1", "run_2"):
            await engine.ring(run_id)
        await heard.count(2)


@pytest.mark.parametrize("urls", KINDS[1:], indirect=True)
async def test_a_server_that_comes_back_is_heard_again(
    urls: dict[str, str], engine: Engine, request: pytest.FixtureRequest
) -> None:
    server: Any = request.getfixturevalue("postgres" if "run_queue_url" in urls else "redis")
    ringer, heard = build_engine(load(**urls)), Heard()
    with capture_logs() as lines:
        async with serving(engine, heard) as task:
            await ringer.ring("run_1")
            await heard.count(1)
            server.stop()
            with pytest.raises(StateUnavailable):
                await ringer.ring("run_lost")
            await asyncio.sleep(0.5)
            assert not task.done()
            server.start()
            async with asyncio.timeout(20):
                while not await rings(ringer, "run_2"):  # noqa: ASYNC110 - another process comes back
                    await asyncio.sleep(0.1)
                while lines[-1]["event"] != "queue.back":  # noqa: ASYNC110 - a log has no event to wait for
                    await asyncio.sleep(0.01)
    await ringer.close()
    assert heard.ids == ["run_1", "run_2"]
    assert [line["event"] for line in lines] == ["queue.away", "queue.back"]


async def rings(engine: Engine, run_id: str) -> bool:
    try:
        await engine.ring(run_id)
    except StateUnavailable:
        return False
    return True
