from collections.abc import AsyncIterator

import pytest

from app.state.redis import connect
from app.state.store import Store


@pytest.fixture(params=["in-process", "server"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    """An empty store of each kind: what holds for one has to hold for the other."""
    url = None
    if request.param == "server":
        url = request.getfixturevalue("redis_server").url
    made = connect(url)
    await made.call("FLUSHALL")
    yield made
    await made.aclose()
