"""The answer cache over HTTP: its headers and fields, over a restart, and over several processes of which one dies."""

import asyncio
import dataclasses
import json
import signal
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from app.api.answering import cache_control
from tests.api import raw
from tests.models.servers import NO_ANSWER
from tests.redis_server import RedisServer
from tests.service import Service
from tests.upstream import MODEL, Upstream, refuses, says, says_whole

REQUESTS = 200
ASKED = {"message": "What is 6 * 7?", "user_id": "ada"}
LED = json.dumps(ASKED).encode()
SECONDS = 1.0
NOISE = 2.0  # what a busy machine may add


@pytest.mark.parametrize(
    ("values", "read"),
    [
        ([], ""),
        ([b"max-age=0"], ""),
        ([b"No-Cache"], "no-cache"),
        ([b"no-store"], "no-store"),
        ([b"no-cache, no-store"], "no-store"),
        ([b"max-age=0,no-cache"], "no-cache"),
        ([b"no-cache", b" no-store "], "no-store"),
        ([b'x="no-store"'], ""),
    ],
)
def test_the_stricter_directive_of_a_request_counts(values: Iterable[bytes], read: str) -> None:
    assert cache_control([(b"accept", b"no-store"), *((b"cache-control", value) for value in values)]) == read


class Cluster:
    """Services that share a store and a provider."""

    def __init__(self, folder: Path, redis: RedisServer, upstream: Upstream) -> None:
        self._folder, self._redis, self._upstream = folder, redis, upstream
        self.services: list[Service] = []

    def start(self, **settings: object) -> Service:
        service = Service(
            self._folder / f"pod-{len(self.services)}",
            models=MODEL,
            openai_base_url=f"{self._upstream.url}/v1",
            unknown_price="allow",
            redis_url=self._redis.url,
            answer_cache="true",
            anonymous_per_minute="off",
            anonymous_concurrent="off",
            limits="{}",
            **settings,
        )
        self.services.append(service)
        return service


@pytest.fixture
def cluster(tmp_path: Path, mortal_redis: RedisServer, upstream: Upstream) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path, mortal_redis, upstream)
    yield cluster
    for service in cluster.services:
        if service.process.poll() is None:
            service.end()
        service.client.close()


def test_a_cached_answer_says_so_costs_nothing_and_survives_a_restart(cluster: Cluster, upstream: Upstream) -> None:
    upstream.will(says_whole("42"))
    service = cluster.start()
    first = service.ask("POST", "/chat", ASKED).json()
    assert (first["cached"], first["age_seconds"]) == (False, None)
    service.end()
    later = cluster.start()
    second = later.ask("POST", "/chat", ASKED).json()
    assert (second["answer"], second["cached"], second["tokens_used"], second["cost_usd"]) == ("42", True, 0, 0)
    assert second["age_seconds"] > 0
    assert len(upstream.calls) == 1
    usage = later.ask("GET", "/usage?user_id=ada").json()
    assert usage["tokens"] == first["tokens_used"]
    metrics = later.metrics()
    assert metrics['agent_cache_lookups_total{result="hit"}'] == 1
    for result in ("joined", "miss", "bypass", "stale", "error"):
        assert metrics[f'agent_cache_lookups_total{{result="{result}"}}'] == 0


def test_a_stream_gets_a_hit_in_one_piece(cluster: Cluster, upstream: Upstream) -> None:
    upstream.will(says("4", "2"))
    service = cluster.start()
    service.ask("POST", "/chat/stream", ASKED)
    hit = service.ask("POST", "/chat/stream", ASKED).text
    assert [line for line in hit.split("\n") if line.startswith("event")] == [
        "event: run.started",
        "event: token",
        "event: run.finished",
    ]
    assert hit.endswith("data: [DONE]\n\n")
    agent = service.ask("POST", "/agent/run", {"query": ASKED["message"], "user_id": "ada"}).json()
    assert (agent["cached"], agent["iterations"], agent["tool_calls"]) == (True, 0, [])


def test_headers_go_past_the_cache(cluster: Cluster, upstream: Upstream) -> None:
    service = cluster.start()
    upstream.will(says_whole("old"), says_whole("unkept"), says_whole("new"))
    told = [service.ask("POST", "/chat", ASKED).json()]
    told += [service.ask("POST", "/chat", ASKED, cache_control="no-store").json()]
    told += [service.ask("POST", "/chat", ASKED).json()]
    told += [service.ask("POST", "/chat", ASKED, cache_control="no-cache").json()]
    told += [service.ask("POST", "/chat", ASKED).json()]
    assert [(one["answer"], one["cached"]) for one in told] == [
        ("old", False),
        ("unkept", False),
        ("old", True),
        ("new", False),
        ("new", True),
    ]


def test_without_a_model_an_old_answer_is_given_or_503_says_when_to_try_again(
    cluster: Cluster, upstream: Upstream
) -> None:
    service = cluster.start(answer_cache_ttl_seconds=0.2, stale_if_error_seconds=60, model_retries=0)
    upstream.will(says_whole("42"), refuses(503, Retry_After="3"))
    service.ask("POST", "/chat", ASKED)
    time.sleep(0.3)
    stale = service.ask("POST", "/chat", ASKED).json()
    assert (stale["answer"], stale["cached"], stale["degraded"]) == ("42", True, ["stale"])
    assert stale["age_seconds"] > 0.2
    other = service.ask("POST", "/chat", {"message": "Other", "user_id": "ada"})
    assert other.status_code == 503
    assert int(other.headers["retry-after"]) >= 1
    assert service.metrics()['agent_cache_lookups_total{result="stale"}'] == 1


def test_without_the_store_runs_go_on(cluster: Cluster, upstream: Upstream, mortal_redis: RedisServer) -> None:
    upstream.will(says_whole("42"))
    service = cluster.start(limits_fail="open")
    mortal_redis.stop()
    assert [service.ask("POST", "/chat", ASKED).json()["cached"] for _ in range(2)] == [False, False]


async def test_when_the_process_that_makes_the_answer_is_killed_another_takes_over(
    cluster: Cluster, upstream: Upstream
) -> None:
    upstream.will(NO_ANSWER, dataclasses.replace(says_whole("42"), pause=1.0))
    pods = [await asyncio.to_thread(cluster.start) for _ in range(3)]
    doomed = pods[0]
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(60)
    ) as session:

        async def ask(number: int) -> dict[str, Any]:
            try:
                return await post(pods[number % 3])
            except aiohttp.ClientError:  # the process is dead, and its clients try again elsewhere
                return await post(pods[1 + number % 2])

        async def post(pod: Service) -> dict[str, Any]:
            async with session.post(f"{pod.url}/chat", json=ASKED) as response:
                assert response.status == 200, await response.text()
                answer: dict[str, Any] = await response.json()
                return answer

        asked = [asyncio.create_task(ask(0))]
        await asyncio.to_thread(upstream.wait_for_calls, 1)  # the first process has the lead
        asked += [asyncio.create_task(ask(number)) for number in range(1, REQUESTS)]
        await asyncio.sleep(1)
        assert len(upstream.calls) == 1
        doomed.signal(signal.SIGKILL)
        answers = await asyncio.gather(*asked)
    assert {answer["answer"] for answer in answers} == {"42"}
    assert len(answers) == REQUESTS
    assert len(upstream.calls) == 2
    assert sum(not answer["cached"] for answer in answers) == 1


class TestALeadersClientLeaves:
    """The upstream call goes on as long as others wait for its answer."""

    SLOW = dataclasses.replace(says_whole("42"), pieces=[b" "] * 15 + [says_whole("42").whole()], pause=0.1)
    SLOW_STREAM = dataclasses.replace(says("42"), pieces=[b": wait\n\n"] * 15 + [says("42").whole()], pause=0.1)

    @pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_those_who_wait_are_answered_by_its_one_call(
        self, cluster: Cluster, upstream: Upstream, path: str, elsewhere: bool
    ) -> None:
        upstream.will(self.SLOW_STREAM if "stream" in path else self.SLOW)
        leading, waiting = self._pods(cluster, elsewhere)
        with raw.connected(leading.port) as connection, ThreadPoolExecutor() as pool:
            connection.sendall(raw.post(path, LED))
            upstream.wait_for_calls(1)
            others = [pool.submit(waiting.ask, "POST", "/chat", ASKED) for _ in range(5)]
            time.sleep(0.5)
            connection.close()
            answers = [other.result().json() for other in others]
        assert [(answer["answer"], answer["cached"]) for answer in answers] == [("42", True)] * 5
        assert len(upstream.calls) == 1
        finished = leading.wait_for_event("agent.request.success", attempts=1)
        left = leading.wait_for_event("request", request_id=finished["request_id"])
        assert left["status"] == (200 if "stream" in path else 499)
        assert self._usage(leading) == finished["tokens"]
        session = leading.ask("GET", f"/sessions/{finished['session_id']}?user_id=ada").json()
        assert [message["content"] for message in session["turns"][0]["messages"]] == [ASKED["message"], "42"]

    @pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
    @pytest.mark.parametrize("elsewhere", [False, True])
    def test_when_those_who_wait_leave_too_it_is_closed(
        self, cluster: Cluster, upstream: Upstream, path: str, elsewhere: bool
    ) -> None:
        upstream.will(NO_ANSWER)
        leading, waiting = self._pods(cluster, elsewhere)
        with raw.connected(leading.port) as leader, raw.connected(waiting.port) as follower:
            leader.sendall(raw.post(path, LED))
            upstream.wait_for_calls(1)
            follower.sendall(raw.post("/chat", LED))
            time.sleep(0.5)
            leader.close()
            time.sleep(1)
            assert not upstream.left.is_set()
            follower.close()
            upstream.wait_until_left(SECONDS + NOISE)
        assert len(upstream.calls) == 1

    @pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
    def test_when_nobody_waits_it_is_closed(self, cluster: Cluster, upstream: Upstream, path: str) -> None:
        upstream.will(NO_ANSWER)
        service = cluster.start()
        with raw.connected(service.port) as connection:
            connection.sendall(raw.post(path, LED))
            upstream.wait_for_calls(1)
            time.sleep(0.2)
        upstream.wait_until_left(SECONDS + NOISE)
        service.wait_for_event("agent.request.failed", error="cancelled")

    def _pods(self, cluster: Cluster, elsewhere: bool) -> tuple[Service, Service]:
        """The one that is asked first, and the one that is asked by others."""
        first = cluster.start()
        return first, cluster.start() if elsewhere else first

    def _usage(self, service: Service) -> int:
        tokens: int = service.ask("GET", "/usage?user_id=ada").json()["tokens"]
        return tokens
