from collections.abc import AsyncIterator, Callable

import pytest

from app.models.protocol import Model
from app.models.providers.http import Http
from tests.models.dialects import AnthropicDialect, Dialect, OllamaDialect, OpenAIDialect
from tests.models.servers import Provider

MakeModel = Callable[..., Model]


@pytest.fixture(params=[OpenAIDialect, OllamaDialect, AnthropicDialect], ids=lambda dialect: dialect.name)
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Each provider's protocol in turn."""
    made: Dialect = request.param()
    return made


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    async with Provider() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    session = Http(silence_seconds=5)
    yield session
    await session.aclose()


@pytest.fixture
async def model(dialect: Dialect, provider: Provider, http: Http) -> AsyncIterator[Model]:
    """A model of the dialect that is served by `provider`."""
    made = dialect.model(provider.url, http)
    yield made
    await made.aclose()
