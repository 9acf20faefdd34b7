"""Limits on both stores: the one in this process, and a real server."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from app.limits.limiter import Limiter
from app.settings import load
from app.state.redis import connect
from app.state.store import Store
from tests.redis_server import RedisServer

MakeLimiter = Callable[..., Limiter]


@pytest.fixture(params=["in-process", "real"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty one."""
    if request.param == "real":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.ask("FLUSHALL")
        store = connect(server.url)
    else:
        store = connect(None)
    yield store
    await store.aclose()


@pytest.fixture
async def limiter(store: Store) -> AsyncIterator[MakeLimiter]:
    """Makes limiters with settings of the test's own, tended until it ends."""
    tending: list[asyncio.Task[None]] = []

    def make(**settings: Any) -> Limiter:
        made = Limiter(load(None, **settings), store)
        tending.append(asyncio.create_task(made.leases.tend()))
        return made

    yield make
    for task in tending:
        task.cancel()
    await asyncio.gather(*tending, return_exceptions=True)
