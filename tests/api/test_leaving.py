"""A client that goes away ends its run, and the call to the model with it, within a second."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.raw import connected, post
from tests.models.servers import NO_ANSWER, Reply
from tests.packages import write_package
from tests.service import Service
from tests.upstream import MODEL, Upstream, asks, says

SECONDS = 1.0
NOISE = 2.0  # what a busy machine may add
BODY = b'{"message":"hi"}'
BEGUN = says("Hel", "lo").with_pieces(says("Hel", "lo").pieces[:2]).ending_with("silent")
TOOLS = '''
import asyncio

from app.tools.tool import tool


@tool
async def wait() -> str:
    """Waits until it is told not to."""
    print('{"event":"tool.waiting","level":"info"}', flush=True)
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        print('{"event":"tool.told","level":"info"}', flush=True)
        raise
    return "waited"
'''


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    """A service with a tool that waits."""
    folder: Path = tmp_path_factory.mktemp("patient")
    service = Service(
        folder,
        models=MODEL,
        openai_base_url=f"{_upstream.url}/v1",
        unknown_price="allow",
        tools="wait",
        pythonpath=write_package(folder / "packages", "waiting", TOOLS),
    )
    yield service
    service.end()


def idle(service: Service) -> None:
    """Nothing is left of what went on."""
    end = time.monotonic() + SECONDS + NOISE
    gauges = ("agent_active_requests", "agent_active_streams")
    while any(service.metrics()[name] for name in gauges):
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run"])
@pytest.mark.parametrize("reply", [NO_ANSWER, BEGUN], ids=["before the first token", "in the midst"])
def test_the_call_of_a_client_that_left_is_ended(patient: Service, upstream: Upstream, path: str, reply: Reply) -> None:
    upstream.will(reply)
    with connected(patient.port) as connection:
        connection.sendall(post(path, BODY.replace(b"message", b"query")))
        upstream.wait_for_calls(1)
        time.sleep(0.1)
        assert not upstream.left.is_set()
    upstream.wait_until_left(SECONDS + NOISE)
    patient.wait_for_event("agent.request.failed", error="cancelled")
    idle(patient)


@pytest.mark.parametrize("path", ["/chat/stream", "/agent/run", "/api/tools/wait"])
def test_the_tool_of_a_client_that_left_is_ended(patient: Service, upstream: Upstream, path: str) -> None:
    upstream.will(asks(("wait", {}), stream=path == "/chat/stream"))
    before = len(patient.log("tool.told"))
    with connected(patient.port) as connection:
        connection.sendall(post(path, b"{}" if "tools" in path else BODY.replace(b"message", b"query")))
        end = time.monotonic() + 10
        while len(patient.log("tool.waiting")) <= before:
            assert time.monotonic() < end
            time.sleep(0.01)
    end = time.monotonic() + SECONDS + NOISE
    while len(patient.log("tool.told")) <= before:
        assert time.monotonic() < end
        time.sleep(0.01)
    assert len(upstream.calls) == (0 if "tools" in path else 1)
    idle(patient)


def test_a_client_that_breaks_its_connection_is_gone_as_well(patient: Service, upstream: Upstream) -> None:
    upstream.will(BEGUN)
    with connected(patient.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.sendall(post("/chat/stream", BODY))
        _read_until(connection, b"Hel")
    upstream.wait_until_left(SECONDS + NOISE)
    idle(patient)


def test_a_client_that_left_before_its_body_was_there_leaves_nothing(patient: Service, upstream: Upstream) -> None:
    with connected(patient.port) as connection:
        connection.sendall(post("/chat", BODY).replace(b"Host: x", b"Host: x\r\nX-Request-Id: half")[:-3])
        time.sleep(0.1)
    assert patient.wait_for_event("request", request_id="half")["status"] == 499
    assert not upstream.calls


def test_a_stream_that_nobody_reads_ends_its_call_all_the_same(patient: Service, upstream: Upstream) -> None:
    whole = says(*["x" * 1000] * 2000)
    upstream.will(whole.with_pieces([whole.whole()]))
    with connected(patient.port) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall(post("/chat/stream", BODY))
        request = patient.wait_for_event("agent.request.success", seconds=20)
        assert request["tokens"] > 0
    idle(patient)


def _read_until(connection: socket.socket, mark: bytes) -> None:
    got = b""
    while mark not in got:
        got += connection.recv(4096)
