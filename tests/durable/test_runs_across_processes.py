"""Runs of several processes on one real server: one run for many equal requests, readers that go from one to another,
a store that is away."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from tests.api.events import Event, parse, parse_all
from tests.api.serving import Service, serving
from tests.models.servers import Reply
from tests.redis_server import RedisServer
from tests.upstream import MODEL, Upstream, says

FOLLOWERS = 1_000
MOST_OF_A_PROCESS = 5  # commands, what the server tells, leases, and two of the queue
SECONDS = 10.0

pytestmark = pytest.mark.asyncio(loop_scope="module")


def slowly(pieces: int, pause: float = 0.02) -> Reply:
    return replace(says(*[f"{number} " for number in range(pieces)]), pause=pause)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def house(redis_server: RedisServer, _upstream: Upstream) -> AsyncIterator[list[Service]]:
    """Three processes, as far as the store can tell."""
    redis_server.ask("FLUSHALL")
    async with AsyncExitStack() as stack:
        house = [await stack.enter_async_context(serving(**settings(redis_server, _upstream))) for _ in range(3)]
        for service in house:
            await connected(service)
        yield house


async def connected(service: Service) -> None:
    """The start of the next one holds up this loop: a first connection may take too long, and is made again."""
    async with asyncio.timeout(30):
        while (await service.ask("GET", "/sessions"))[0] != 200:  # noqa: ASYNC110 - nothing tells
            await asyncio.sleep(0.1)


def settings(server: RedisServer, upstream: Upstream) -> dict[str, Any]:
    return {
        "redis_url": server.url,
        "models": MODEL,
        "openai_base_url": f"{upstream.url}/v1",
        "unknown_price": "allow",
        "breaker": False,
        "model_retries": 0,
        "anonymous_concurrent": "off",
        "anonymous_per_minute": "off",
    }


async def events_of(service: Service, run_id: str, after: int) -> list[Event]:
    async with service.session.get(f"/runs/{run_id}/events", headers={"Last-Event-ID": str(after)}) as response:
        assert response.status == 200, await response.text()
        return parse_all(await response.text())


async def next_event(response: aiohttp.ClientResponse) -> Event:
    while (block := (await response.content.readuntil(b"\n\n")).decode().strip()).startswith(":"):
        pass
    return parse(block)


async def test_of_equal_requests_at_once_one_makes_the_run(house: list[Service], upstream: Upstream) -> None:
    upstream.will(says("once"))
    body = {"query": "hi", "session_id": "keyed"}

    async def ask(service: Service) -> tuple[int, Any, str | None]:
        async with service.session.post("/runs", json=body, headers={"Idempotency-Key": "fifty"}) as response:
            return response.status, await response.json(), response.headers.get("Idempotency-Replayed")

    answers = await asyncio.gather(*(ask(house[number % 3]) for number in range(50)))
    assert {status for status, _, _ in answers} == {202}
    assert len({str(made) for _, made, _ in answers}) == 1
    assert sorted(str(replayed) for _, _, replayed in answers) == ["None"] + ["true"] * 49
    _, listed, _ = await house[0].ask("GET", "/runs?session_id=keyed")
    assert len(listed["runs"]) == 1
    await events_of(house[1], answers[0][1]["run_id"], 0)
    assert len(upstream.calls) == 1


@pytest.mark.parametrize(
    ("path", "body"), [("/runs", {"query": "another"}), ("/agent/run", {"query": "hi", "background": True})]
)
async def test_a_key_is_for_one_request_of_one_route(house: list[Service], path: str, body: Any) -> None:
    first = await house[0].session.post("/runs", json={"query": "hi"}, headers={"Idempotency-Key": "mine"})
    assert first.status == 202
    again = await house[1].session.post(path, json=body, headers={"Idempotency-Key": "mine"})
    assert again.status == 422
    assert (await again.json())["type"] == "urn:agent-api:problem:idempotency-key-reused"


@pytest.mark.parametrize("key", [b"", b"a b", b"\xff", b"\x01", b"k" * 256])
async def test_a_key_that_cannot_be_kept_is_refused(house: list[Service], key: bytes) -> None:
    body = b'{"query": "hi"}'
    reader, writer = await asyncio.open_connection("127.0.0.1", house[0].port)
    writer.write(
        b"POST /runs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Idempotency-Key: %b\r\nContent-Length: %d\r\n\r\n%b" % (key, len(body), body)
    )
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ", 2)[1] in (b"422", b"400"), answer


async def test_a_reader_cut_at_every_event_goes_on_at_another_process(house: list[Service], upstream: Upstream) -> None:
    upstream.will(slowly(12))
    begun = await house[0].session.post("/chat/stream", json={"message": "hi", "resumable": True})
    run_id = begun.headers["Location"].rpartition("/")[2]
    seen = [await next_event(begun)]
    while seen[-1].name not in ("run.finished", "run.failed"):
        process = house[len(seen) % 3]
        async with process.session.get(
            f"/runs/{run_id}/events", headers={"Last-Event-ID": str(seen[-1].id)}
        ) as response:
            seen.append(await next_event(response))
    assert [event.id for event in seen] == list(range(1, len(seen) + 1))
    text = "".join(event.data["text"] for event in seen if event.name == "token")
    _, run, _ = await house[2].ask("GET", f"/runs/{run_id}")
    assert text == run["answer"]["answer"] == "".join(f"{number} " for number in range(12))
    assert (await begun.text()).endswith("data: [DONE]\n\n")


async def test_a_run_is_cancelled_from_any_process(house: list[Service], upstream: Upstream) -> None:
    upstream.will(slowly(500))
    begun = await house[0].session.post("/chat/stream", json={"message": "hi", "resumable": True})
    run_id = begun.headers["Location"].rpartition("/")[2]
    started = time.monotonic()
    status, _, _ = await house[1].ask("POST", f"/runs/{run_id}/cancel")
    assert status == 202
    assert '"urn:agent-api:problem:cancelled"' in await begun.text()
    assert time.monotonic() - started < SECONDS
    status, _, _ = await house[2].ask("POST", f"/runs/{run_id}/cancel")
    assert status == 409


async def test_many_followers_share_one_connection(
    house: list[Service], upstream: Upstream, redis_server: RedisServer
) -> None:
    upstream.will(slowly(100, pause=0.5))
    begun = await house[0].session.post(
        "/chat/stream", json={"message": "hi", "resumable": True, "on_disconnect": "continue"}
    )
    run_id = begun.headers["Location"].rpartition("/")[2]
    warm = await house[1].session.get(f"/runs/{run_id}/events")
    await next_event(warm)
    address = f"http://127.0.0.1:{house[1].port}"
    async with aiohttp.ClientSession(address, connector=aiohttp.TCPConnector(limit=0)) as session:
        connecting = asyncio.Semaphore(50)  # no more than a listening socket queues

        async def follow() -> aiohttp.ClientResponse:
            async with connecting:
                response = await session.get(f"/runs/{run_id}/events")
                await next_event(response)
            return response

        followers = await asyncio.gather(*(follow() for _ in range(FOLLOWERS)))
        there = connections(redis_server)
        for follower in followers:
            follower.close()
    warm.close()
    begun.close()
    await house[0].ask("POST", f"/runs/{run_id}/cancel")
    listening = [line for line in there if " sub=0 " not in line]
    assert len(listening) <= len(house), listening
    assert len(there) <= MOST_OF_A_PROCESS * len(house), there


def connections(server: RedisServer) -> list[str]:
    told = server.ask("CLIENT LIST").decode()
    return [line for line in told.split("\n") if line.startswith("id=") and "cmd=client" not in line]


async def test_while_the_store_is_away_nothing_is_made_and_nothing_hangs(
    mortal_redis: RedisServer, upstream: Upstream
) -> None:
    upstream.will(says("hi"))
    async with serving(**settings(mortal_redis, upstream)) as service:
        status, made, _ = await service.ask("POST", "/runs", None, {"query": "hi"})
        assert status == 202
        await events_of(service, made["run_id"], 0)
        for take_away, give_back in [
            (mortal_redis.stop, mortal_redis.start),
            (mortal_redis.freeze, mortal_redis.thaw),
        ]:
            take_away()
            for method, path, body in [
                ("POST", "/runs", {"query": "hi"}),
                ("POST", "/chat", {"message": "hi", "background": True}),
                ("POST", "/chat/stream", {"message": "hi", "resumable": True}),
                ("GET", "/runs", None),
                ("GET", f"/runs/{made['run_id']}", None),
                ("GET", f"/runs/{made['run_id']}/events", None),
                ("POST", f"/runs/{made['run_id']}/cancel", None),
            ]:
                async with asyncio.timeout(SECONDS):
                    status, problem, headers = await service.ask(method, path, None, body)
                assert (status, problem["type"].rpartition(":")[2]) in {
                    (503, "state-unavailable"),
                    (503, "limits-unavailable"),
                }, path
                assert "Retry-After" in headers
            give_back()
