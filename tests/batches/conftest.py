"""A provider, and both stores: the one in this process, and a real server."""

from collections.abc import AsyncIterator

import pytest

from app.state.redis import connect
from app.state.store import Store
from tests.batches.provider import BatchProvider
from tests.redis_server import RedisServer


@pytest.fixture
async def provider() -> AsyncIterator[BatchProvider]:
    async with BatchProvider() as provider:
        yield provider


BOTH = pytest.mark.parametrize("store", ["in-process", "real"], indirect=True)
"""For what is asked of both stores."""


@pytest.fixture
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty one, on a real server unless the test says otherwise."""
    if getattr(request, "param", "real") == "real":
        server: RedisServer = request.getfixturevalue("redis_server")
        server.ask("FLUSHALL")
        store = connect(server.url)
    else:
        store = connect(None)
    yield store
    await store.aclose()
