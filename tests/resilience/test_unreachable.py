"""Providers that cannot be reached at all: nobody listens, the name is unknown, TLS is not spoken, nothing is accepted.

A service each, whose OpenAI is that address and whose Ollama is well."""

import asyncio
import json
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass

import pytest

from tests.redis_server import free_port
from tests.resilience.acts import WHOLE
from tests.resilience.asking import Callers, Outcome
from tests.resilience.books import Metrics, Usage
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of, write_agents
from tests.service import Service

RETRIES = 1
AWAY, WELL = "openai/away", "ollama/well"
AGENTS = {"alone": [AWAY], "followed": [AWAY, WELL]}
WAYS = [(agent, stream) for agent in AGENTS for stream in (False, True)]


def _refused(_: ExitStack) -> str:
    return f"http://127.0.0.1:{free_port()}/v1"


def _unknown_name(_: ExitStack) -> str:
    return "http://provider.invalid/v1"


def _no_tls(stack: ExitStack) -> str:
    return f"https://127.0.0.1:{stack.enter_context(Provider()).port}/v1"


def _not_accepted(stack: ExitStack) -> str:
    """A listener whose queue is full drops what comes: no connection is made in time."""
    listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
    for _ in range(4):
        filling = stack.enter_context(socket.socket())
        filling.setblocking(False)
        filling.connect_ex(listener.getsockname())
    return f"http://127.0.0.1:{listener.getsockname()[1]}/v1"


@dataclass(frozen=True)
class Address:
    make: Callable[[ExitStack], str]
    outcome: str


ADDRESSES = {
    "refused": Address(_refused, "unreachable"),
    "unknown name": Address(_unknown_name, "dns"),
    "no TLS": Address(_no_tls, "tls"),
    "not accepted": Address(_not_accepted, "connect_timeout"),
}


@dataclass(frozen=True)
class Played:
    service: Service
    outcomes: dict[tuple[str, bool], Outcome]
    metrics: Metrics


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Played]]:
    with ExitStack() as stack, ThreadPoolExecutor() as pool:
        provider = stack.enter_context(Provider())
        agents = write_agents(tmp_path_factory.mktemp("unreachable") / "agents", AGENTS)

        def start(address: Address) -> Service:
            return service_of(
                tmp_path_factory.mktemp("service"),
                provider,
                (AWAY, WELL),
                openai_base_url=address.make(stack),
                ollama_api_base=provider.url,
                agents_dir=agents,
                model_retries=RETRIES,
                connect_timeout_seconds=0.5,
            )

        services = list(pool.map(start, ADDRESSES.values()))
        outcomes = asyncio.run(_ask(services))
        yield {
            name: Played(service, some, Metrics([service]))
            for name, service, some in zip(ADDRESSES, services, outcomes, strict=True)
        }
        list(pool.map(Service.end, services))


async def _ask(services: list[Service]) -> list[dict[tuple[str, bool], Outcome]]:
    async with Callers() as callers:

        async def all_ways(service: Service) -> dict[tuple[str, bool], Outcome]:
            asked = (callers.ask(service.url, stream=stream, agent=agent) for agent, stream in WAYS)
            return dict(zip(WAYS, await asyncio.gather(*asked), strict=True))

        return await asyncio.gather(*map(all_ways, services))


each = pytest.mark.parametrize("name", ADDRESSES)


@each
@pytest.mark.parametrize("stream", [False, True])
def test_a_fallback_answers(played: dict[str, Played], name: str, stream: bool) -> None:
    outcome = played[name].outcomes["followed", stream]
    assert (outcome.status, outcome.text) == (200, WHOLE)
    told = outcome.told
    assert (told["model"], told["fallback_from"], told["attempts"]) == (WELL, AWAY, RETRIES + 2)


@each
@pytest.mark.parametrize("stream", [False, True])
def test_without_one_it_is_a_503_that_says_when_to_try_again(
    played: dict[str, Played], name: str, stream: bool
) -> None:
    outcome = played[name].outcomes["alone", stream]
    assert (outcome.status, outcome.slug) == (503, "model-unavailable")
    assert stream or outcome.retry_after
    assert "127.0.0.1" not in json.dumps(outcome.told)


@each
def test_it_is_tried_again_costs_nothing_and_is_named(played: dict[str, Played], name: str) -> None:
    metrics = played[name].metrics
    assert metrics.outcomes(AWAY) == {ADDRESSES[name].outcome: len(WAYS) * (RETRIES + 1)}
    assert metrics.sum("agent_uncertain_tokens_total", model=AWAY) == 0
    assert Usage(played[name].service).of(AWAY).tokens == 0
