from collections.abc import AsyncIterator, Iterator

import pytest

from app.state.redis import connect
from app.state.store import Store
from tests.logged import capture_logs
from tests.redis_server import RedisServer


@pytest.fixture(params=["in-process", "server"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of each kind."""
    url = None if request.param == "in-process" else request.getfixturevalue("redis_server").url
    made = connect(url)
    await made.call("FLUSHALL")
    yield made
    await made.aclose()


@pytest.fixture
async def server(redis_server: RedisServer) -> AsyncIterator[Store]:
    """An empty store on a server."""
    made = connect(redis_server.url)
    await made.call("FLUSHALL")
    yield made
    await made.aclose()


@pytest.fixture(autouse=True)
def lines() -> Iterator[list[dict[str, object]]]:
    """What is logged."""
    with capture_logs() as logged:
        yield logged
