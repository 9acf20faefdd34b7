"""Limits on both stores: the one in this process, and a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.limits.limiter import Limiter
from app.settings import Settings, load
from app.state.redis import connect
from tests.limits.watched import WatchedStore
from tests.redis_server import RedisServer

MakeLimiter = Callable[..., Limiter]


@pytest.fixture(params=["in-process", "real"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[WatchedStore]:
    """An empty one."""
    if request.param == "real":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.ask("FLUSHALL")
        store = WatchedStore(connect(server.url))
    else:
        store = WatchedStore(connect(None))
    yield store
    await store.aclose()


@pytest.fixture
async def limiter(store: WatchedStore) -> AsyncIterator[MakeLimiter]:
    """Makes limiters with settings of the test's own, which run until it ends."""
    running: list[asyncio.Task[None]] = []

    def make(**settings: Any) -> Limiter:
        made = Limiter(brief(**settings), store)
        running.append(asyncio.create_task(made.run()))
        return made

    yield make
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def brief(*, lease_seconds: Any = None, **settings: Any) -> Settings:
    """Settings whose lease may be shorter than a second, so that no test waits for long."""
    made = load(None, **settings)
    return made if lease_seconds is None else made.model_copy(update={"lease_seconds": lease_seconds})


@asynccontextmanager
async def going(limiter: Limiter) -> AsyncIterator[None]:
    """Let it renew and settle meanwhile."""
    task = asyncio.create_task(limiter.run())
    yield
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
