"""The end: on SIGTERM no new work is asked for, what is open finishes or is told, and the process leaves with 0."""

import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.api.events import DONE, blocks, parse, parse_all
from tests.api.raw import connected, post, read_answer
from tests.conftest import Serve
from tests.models.servers import NO_ANSWER, Reply
from tests.packages import write_package
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, says, says_whole

WORDS = [f"word{index} " for index in range(12)]
PLAIN = says_whole("done").whole()
TOOLS = '''
import asyncio

from app.tools.tool import tool


@tool(trusted=True)
async def wait() -> str:
    """Waits."""
    await asyncio.sleep(30)
    return "waited"
'''
STUCK = says(*WORDS).with_pieces(says(*WORDS).pieces[:2]).ending_with("silent")


def slow(pause: float) -> Reply:
    return replace(says(*WORDS), pause=pause)


@pytest.fixture
def serve_upstream(serve: Serve, upstream: Upstream) -> Serve:
    def start(**settings: object) -> Service:
        url = f"{upstream.url}/v1"
        return serve(**{"models": MODEL, "openai_base_url": url, "unknown_price": "allow", **settings})

    return start


@contextmanager
def open_stream(service: Service) -> Iterator[Iterator[str]]:
    """The blocks of a stream whose first event is there."""
    with (
        service.new_client() as client,
        client.stream("POST", "/chat/stream", json={"message": "hi"}) as response,
    ):
        arriving = blocks(response.iter_text())
        assert parse(next(arriving)).name == "run.started"
        yield arriving


def ask_anew(service: Service, method: str, path: str, body: object = None) -> httpx.Response:
    """On a connection of its own."""
    with service.new_client() as client:
        return client.request(method, path, json=body)


def test_a_draining_service_is_alive_but_not_ready_and_finishes_what_is_open(
    serve_upstream: Serve, upstream: Upstream
) -> None:
    service = serve_upstream()
    upstream.will(slow(0.2), Reply([PLAIN[:9], PLAIN[9:]], pause=0.5), says(*WORDS))
    with open_stream(service) as arriving, connected(service.port) as connection:
        upstream.wait_for_calls(1)
        connection.sendall(post("/chat", b'{"message":"hi"}'))
        upstream.wait_for_calls(2)
        service.signal()
        service.wait_for_event("drain.start")
        service.signal()  # again, which changes nothing
        ready = ask_anew(service, "GET", "/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "draining"})
        live = ask_anew(service, "GET", "/live")
        assert (live.status_code, live.json()) == (200, {"status": "alive"})
        late = ask_anew(service, "POST", "/chat/stream", {"message": "hi"})
        assert parse_all(late.text)[-1].name == "run.finished"
        nowhere = ask_anew(service, "GET", "/nowhere")
        problem_of(nowhere, 404, "not-found")
        assert {answer.headers["connection"] for answer in (ready, live, late, nowhere)} == {"close"}
        whole = read_answer(connection)
        assert (whole.status, whole.headers["connection"]) == (200, "close")
        rest = list(arriving)
    assert rest[-1] == DONE
    finished = parse(rest[-2])
    assert (finished.name, finished.data["answer"]) == ("run.finished", "".join(WORDS))
    assert service.wait() == 0


def test_what_outlasts_the_drain_is_told_so(serve_upstream: Serve, upstream: Upstream, tmp_path: Path) -> None:
    service = serve_upstream(
        drain_seconds=0.5, tools="wait", pythonpath=write_package(tmp_path / "packages", "waiting", TOOLS)
    )
    upstream.will(STUCK)
    with open_stream(service) as arriving, connected(service.port) as connection, connected(service.port) as tool:
        tool.sendall(post("/api/tools/wait", b"{}"))
        upstream.wait_for_calls(1)
        upstream.will(NO_ANSWER)
        connection.sendall(post("/chat", b'{"message":"hi"}'))
        upstream.wait_for_calls(2)
        service.signal()
        rest = list(arriving)
        answers = [read_answer(connection), read_answer(tool)]
    assert rest[-1] == DONE
    failed = parse(rest[-2])
    assert failed.name == "run.failed"
    assert (failed.data["status"], failed.data["type"]) == (503, "urn:agent-api:problem:shutting-down")
    for answer in answers:
        assert answer.status == 503
        assert b"urn:agent-api:problem:shutting-down" in answer.body
        assert int(answer.headers["retry-after"]) >= 1
    assert service.wait() == 0
    upstream.wait_until_left(1)


def test_a_second_sigint_does_not_wait(serve_upstream: Serve, upstream: Upstream) -> None:
    service = serve_upstream(drain_seconds=60)
    upstream.will(STUCK)
    with open_stream(service) as arriving:
        service.signal(signal.SIGINT)
        service.wait_for_event("drain.start")
        time.sleep(0.2)
        assert service.process.poll() is None
        service.signal(signal.SIGINT)
        assert service.wait(10) == 0
        list(arriving)


def test_nothing_open_means_no_wait_even_with_idle_connections(serve: Serve) -> None:
    service = serve()
    with connected(service.port) as idle, connected(service.port) as used:
        used.sendall(post("/chat", b'{"message":"hi"}'))
        assert read_answer(used).status == 200
        started = time.monotonic()
        service.signal(signal.SIGINT)
        assert service.wait() == 0
        assert time.monotonic() - started < 15
        assert idle.recv(1) == b""


def test_a_client_that_does_not_read_does_not_keep_the_process(serve_upstream: Serve, upstream: Upstream) -> None:
    service = serve_upstream(drain_seconds=0.2)
    much = says(*["x" * 1000] * 10_000)
    upstream.will(much.with_pieces([much.whole()]))
    with connected(service.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(post("/chat/stream", b'{"message":"hi"}'))
        upstream.wait_for_calls(1)
        time.sleep(1)
        assert service.metrics()["agent_active_streams"] == 1
        service.signal()
        assert service.wait(20) == 0
