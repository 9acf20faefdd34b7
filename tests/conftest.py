"""What tests share: the service in a process of its own, a provider that does as it is told, a real Redis."""

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import settings

from app.settings import Settings
from tests import redis_server as redis
from tests.redis_server import RedisServer
from tests.service import Service
from tests.upstream import MODEL, Upstream

settings.register_profile("patient", deadline=None)  # a busy machine is no failure
settings.load_profile("patient")

Serve = Callable[..., Service]

SPARE_MODELS = [f"openai/spare-{number}" for number in range(200)]

# Differs from run to run, so no part of a name. Begins where a word does: a long one is read once.
_SECRET = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*[0-9])[\w-]{20,}")
_ID_CHARS = 60


def pytest_make_parametrize_id(val: Any, argname: str) -> str | None:
    """A case by what it is; pytest would name numbers without their meaning, and anything else `values3`."""
    if val is None or isinstance(val, bool | int | float):
        return f"{argname}={val}"
    if not isinstance(val, str | dict | list | tuple | set | frozenset):
        return None
    shown = ascii(val)[:10_000]
    named = _SECRET.sub("...", shown)
    if " at 0x" in shown or (isinstance(val, str) and named == shown):
        return None
    return named[:_ID_CHARS]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Starts services with settings of the test's own; each has to leave with 0 and without an error in its log."""
    services: list[Service] = []

    def start(*, fresh: object = False, **settings: object) -> Service:
        services.append(Service(tmp_path / f"service-{len(services)}", fresh=fresh, **settings))
        return services[-1]

    yield start
    for service in services:
        service.end()


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """One service with the default settings, for every test that leaves it as it was.

    All tests together come from one address and are refused more often than any caller should be.
    """
    service = Service(tmp_path_factory.mktemp("demo"), anonymous_per_minute="off", refused_per_minute="off")
    yield service
    service.end()


@pytest.fixture(scope="module")
def fresh_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with the default settings that no other module's tests have asked anything."""
    service = Service(tmp_path_factory.mktemp("fresh"))
    yield service
    service.end()


@pytest.fixture(scope="session")
def _upstream() -> Iterator[Upstream]:
    with Upstream() as upstream:
        yield upstream


@pytest.fixture
def upstream(_upstream: Upstream) -> Upstream:
    """A provider that has heard nothing yet; tell it what to answer."""
    _upstream.reset()
    return _upstream


@pytest.fixture(scope="session")
def _relay(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("relay"),
        models=MODEL,
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        model_retries=0,
        breaker=False,
    )
    yield service
    service.end()


@pytest.fixture
def relay(_relay: Service, upstream: Upstream) -> Service:
    """One service whose model is `upstream`, which is asked once and whatever it did before; with default settings
    otherwise."""
    return _relay


class Failing:
    """A service with so many models that each request has one of its own: a model that fails is left alone for a while,
    and would not be asked by the next test."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.used = ""
        """The model of the last request."""
        self._unused = iter(SPARE_MODELS)

    def ask(self, path: str, body: dict[str, Any]) -> httpx.Response:
        self.used = next(self._unused)
        return self.service.ask("POST", path, {**body, "model": self.used})

    def chat(self, message: str) -> httpx.Response:
        return self.ask("/chat", {"message": message})


@pytest.fixture(scope="module")
def failing(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Failing]:
    """Models that `upstream` answers for, each asked once."""
    service = Service(
        tmp_path_factory.mktemp("failing"),
        models=",".join(SPARE_MODELS),
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        model_retries=0,
    )
    service.may_log_errors = True
    yield Failing(service)
    service.end()


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A real server for every test that leaves it running. Flush it, or use names of your own."""
    if redis.BINARY is None:
        pytest.skip(redis.MISSING)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture
def mortal_redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A real server of the test's own, to be stopped, frozen and started again."""
    if redis.BINARY is None:
        pytest.skip(redis.MISSING)
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.stop()


@pytest.fixture
async def written() -> AsyncIterator[None]:
    """What a test does in the background is done before its event loop ends."""
    yield
    async with asyncio.timeout(5):
        await asyncio.sleep(0.01)
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)
            await asyncio.sleep(0.01)  # for what follows from them


@pytest.fixture
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the environment is a setting, and the working directory is empty."""
    for name in Settings.model_fields:
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    monkeypatch.chdir(tmp_path)
