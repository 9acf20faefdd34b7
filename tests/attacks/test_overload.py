"""Too many at once: who comes too late is told so, probes are still answered, and nothing goes on for ever."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.api.raw import connected, post, read_answer
from tests.attacks.stage import many, read_to_end
from tests.conftest import Serve
from tests.models.servers import NO_ANSWER
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream

LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
CHAT = post("/chat", b'{"message":"hi"}')


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("small"), max_connections=10, head_timeout_seconds=2)
    service.client.close()
    yield service
    service.end()


def wait_for_room(service: Service) -> None:
    end = time.monotonic() + 10
    while True:
        with connected(service.port) as connection:
            connection.sendall(CHAT)
            if read_answer(connection).status == 200:
                return
        assert time.monotonic() < end
        time.sleep(0.1)


def test_connections_beyond_the_bound_are_answered_503(small: Service) -> None:
    wait_for_room(small)
    with many(small.port, 10) as opened:
        for connection in opened:
            connection.sendall(LIVE)
            assert read_answer(connection).status == 200
        with connected(small.port) as late:
            late.sendall(CHAT)
            answer = read_answer(late)
            assert (answer.status, answer.headers["connection"]) == (503, "close")
            assert answer.headers["content-type"] == "application/problem+json"
            assert int(answer.headers["retry-after"]) >= 1
            assert b"urn:agent-api:problem:overloaded" in answer.body
        opened[0].sendall(CHAT)
        assert read_answer(opened[0]).status == 200
    wait_for_room(small)


def test_probes_are_answered_when_all_connections_are_taken(small: Service) -> None:
    wait_for_room(small)
    with many(small.port, 10):
        for _ in range(40):
            with connected(small.port) as probe:
                probe.sendall(LIVE)
                answer = read_answer(probe)
            assert (answer.status, answer.headers["connection"]) == (200, "close")


def test_a_flood_of_connections_is_refused_and_goes_away(small: Service) -> None:
    wait_for_room(small)
    with many(small.port, 200) as flood:
        assert read_to_end(flood[-1]).startswith(b"HTTP/1.1 503 ")
        for connection in flood:
            assert read_to_end(connection, 10)[:13] in (b"", b"HTTP/1.1 503 ")
    wait_for_room(small)


def test_idle_connections_of_1000_leave_room_for_others(demo: Service) -> None:
    with many(demo.port, 1000):
        assert demo.chat("hi").status_code == 200


def test_requests_beyond_the_bound_are_503_and_the_process_is_not_ready(serve: Serve, upstream: Upstream) -> None:
    service = serve(
        models=f"demo,{MODEL}", openai_base_url=f"{upstream.url}/v1", unknown_price="allow", max_active_requests=5
    )
    upstream.will(*[NO_ANSWER] * 5)
    body = b'{"message":"hi","model":"%b"}' % MODEL.encode()
    with ExitStack() as opened:
        connections = [opened.enter_context(connected(service.port)) for _ in range(5)]
        for number, connection in enumerate(connections):
            assert service.client.get("/ready").status_code == (503 if number >= 4 else 200)
            connection.sendall(post("/chat", body))
            upstream.wait_for_calls(number + 1)
        refused = service.chat("hi")
        problem_of(refused, 503, "overloaded")
        assert int(refused.headers["retry-after"]) >= 1
        ready = service.client.get("/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "overloaded"})
        assert service.client.get("/live").status_code == 200
    end = time.monotonic() + 5
    while service.client.get("/ready").status_code != 200:
        assert time.monotonic() < end
    assert service.chat("hi").status_code == 200


def threads(service: Service) -> int:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("Threads:")[2].split()[0])


def test_connections_to_the_metrics_cost_no_threads_and_are_bounded(demo: Service) -> None:
    before = threads(demo)
    with many(demo.metrics_port, 1000) as connections:
        connections[0].sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b"agent_requests_total" in read_to_end(connections[0])
        assert demo.chat("hi").status_code == 200
        assert threads(demo) <= before + 1
        assert read_to_end(connections[-1]).startswith(b"HTTP/1.1 503 ")
    assert "agent_active_requests" in demo.metrics()
