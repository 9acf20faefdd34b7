from collections.abc import AsyncIterator

import pytest

from tests.durable.webhooks.stage import Receiver


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    made = Receiver()
    await made.start()
    yield made
    await made.stop()
