"""Whoever takes their time is told so, and nothing of theirs is kept: heads, bodies, and answers that nobody reads."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.api.raw import HEAD, chunk, connected, post, read_answer
from tests.attacks.stage import many, read_to_end
from tests.service import Service
from tests.upstream import MODEL, Upstream, says

HEAD_SECONDS = 0.6
BODY_SECONDS = 1.0
WRITE_SECONDS = 1.0
NOISE = 2.0  # the deadlines are looked at four times a second, and a busy machine is late
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"message":"6 * 7"}'


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    """A service with short deadlines."""
    service = Service(
        tmp_path_factory.mktemp("hasty"),
        models=f"demo,{MODEL}",
        openai_base_url=f"{_upstream.url}/v1",
        unknown_price="allow",
        head_timeout_seconds=HEAD_SECONDS,
        body_timeout_seconds=BODY_SECONDS,
        write_timeout_seconds=WRITE_SECONDS,
    )
    yield service
    service.end()


def trickle(connection: socket.socket, piece: bytes, seconds: float = 5) -> None:
    """Sends a piece ten times a second until the other side does not want more."""
    end = time.monotonic() + seconds
    connection.settimeout(0.1)
    while time.monotonic() < end:
        try:
            connection.sendall(piece)
            if connection.recv(1, socket.MSG_PEEK):
                return
        except TimeoutError:
            continue
        except OSError:
            return
    pytest.fail("it still listens")


@pytest.mark.parametrize("begun", [b"", b"GET /live HTTP/1.1\r\nHost:", b"\r\n\r\n", b"G"])
def test_a_head_that_is_not_sent_ends_the_connection(hasty: Service, begun: bytes) -> None:
    started = time.monotonic()
    with connected(hasty.port) as connection:
        connection.sendall(begun)
        arrived = read_to_end(connection)
    assert HEAD_SECONDS <= time.monotonic() - started < HEAD_SECONDS + NOISE
    assert arrived.startswith(b"HTTP/1.1 408 ") if begun else not arrived


def test_a_head_that_trickles_has_no_longer(hasty: Service) -> None:
    started = time.monotonic()
    with connected(hasty.port) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\nA: ")
        trickle(connection, b"a")
        assert time.monotonic() - started < HEAD_SECONDS + NOISE
        assert read_answer(connection).status == 408


def test_a_second_head_that_is_not_sent_ends_the_connection_too(hasty: Service) -> None:
    with connected(hasty.port) as connection:
        connection.sendall(LIVE + LIVE[:20])
        assert read_answer(connection).status == 200
        assert read_to_end(connection, HEAD_SECONDS + NOISE).startswith(b"HTTP/1.1 408 ")


def test_a_connection_may_rest_between_requests(hasty: Service) -> None:
    with connected(hasty.port) as connection:
        for _ in range(2):
            connection.sendall(LIVE)
            assert read_answer(connection).status == 200
            time.sleep(HEAD_SECONDS + BODY_SECONDS)
        connection.sendall(LIVE[:9])
        assert read_to_end(connection, HEAD_SECONDS + NOISE).startswith(b"HTTP/1.1 408 ")


BODIES = {
    "with a length": HEAD % b"/chat" + b"Content-Length: 1000\r\n\r\n" + BODY,
    "of a tool": HEAD % b"/api/tools/calculator" + b"Content-Length: 1000\r\n\r\n{",
    "in chunks": HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\n\r\n" + chunk(BODY),
    "asked for first": HEAD % b"/chat" + b"Expect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
    "behind another": LIVE + HEAD % b"/chat" + b"Content-Length: 1000\r\n\r\n" + BODY,
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_that_is_not_sent_is_408(hasty: Service, kind: str) -> None:
    started = time.monotonic()
    with connected(hasty.port) as connection:
        connection.sendall(BODIES[kind])
        arrived = read_to_end(connection)
    assert BODY_SECONDS <= time.monotonic() - started < BODY_SECONDS + 1.5 + NOISE
    answer = arrived[arrived.rindex(b"HTTP/1.1 ") :]
    assert answer.startswith(b"HTTP/1.1 408 "), arrived
    assert b"urn:agent-api:problem:request-timeout" in answer
    assert b"connection: close" in answer.lower()


def test_a_body_that_trickles_has_no_longer(hasty: Service) -> None:
    started = time.monotonic()
    with connected(hasty.port) as connection:
        connection.sendall(HEAD % b"/chat" + b"X-Request-Id: trickled\r\nTransfer-Encoding: chunked\r\n\r\n")
        trickle(connection, chunk(b" "))
        assert time.monotonic() - started < BODY_SECONDS + NOISE
        assert read_answer(connection).status == 408
    line = hasty.wait_for_event("request", request_id="trickled")
    assert (line["status"], line["peer"]) == (408, "127.0.0.1")


def test_the_rest_of_a_body_that_nobody_wants_has_no_longer(hasty: Service) -> None:
    """The answer is there before the body is."""
    with connected(hasty.port) as connection:
        connection.sendall(HEAD % b"/nowhere" + b"Transfer-Encoding: chunked\r\n\r\n")
        assert read_answer(connection).status == 404
        trickle(connection, chunk(b" "), BODY_SECONDS + NOISE)


def test_a_body_may_be_slower_than_a_head(hasty: Service) -> None:
    with connected(hasty.port) as connection:
        request = post("/chat", BODY)
        connection.sendall(request[:-3])
        time.sleep(HEAD_SECONDS + 0.1)
        connection.sendall(request[-3:])
        assert read_answer(connection).status == 200


def test_a_run_may_take_longer_than_all_deadlines(hasty: Service, upstream: Upstream) -> None:
    upstream.will(says(*["word "] * 10).with_pieces(says(*["word "] * 10).pieces))
    with httpx.Client(base_url=hasty.url, trust_env=False) as client, many(hasty.port, 1) as [other]:
        other.sendall(LIVE)
        answer = client.post("/chat", json={"message": "hi", "model": MODEL})
        assert answer.status_code == 200


def unread(service: Service, path: str) -> socket.socket:
    """A connection whose client sends a request and reads nothing of the answer."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", service.port))
    connection.sendall(post(path, b'{"message":"hi","model":"%b"}' % MODEL.encode()))
    return connection


@pytest.mark.parametrize("path", ["/chat/stream", "/chat"])
def test_an_answer_that_nobody_reads_ends_the_connection(hasty: Service, upstream: Upstream, path: str) -> None:
    long = says(*["x" * 1000] * 3000)
    upstream.will(*[long.with_pieces([long.whole()])] * 3)
    connections = [unread(hasty, path) for _ in range(3)]
    end = time.monotonic() + WRITE_SECONDS + 5 + NOISE
    opened = len(connections)
    while opened and time.monotonic() < end:
        time.sleep(0.1)
        opened = established(hasty)
    assert opened == 0
    assert hasty.metrics()["agent_active_requests"] == 0
    for connection in connections:
        assert len(read_to_end(connection)) < 3_000_000
        connection.close()


def established(service: Service) -> int:
    """Connections to the service's port that its own side holds open."""
    port = f"{service.port:04X}"
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port}") and row[3] == "01" and int(row[4].partition(":")[0], 16) > 0 for row in rows)


def test_a_slow_reader_gets_all(hasty: Service, upstream: Upstream) -> None:
    """Slower than the deadline altogether, but not without progress."""
    long = says(*["x" * 1000] * 3000)
    upstream.will(long.with_pieces([long.whole()]))
    connection = unread(hasty, "/chat")
    started = time.monotonic()
    size = 0
    while size < 3_000_000 and (piece := connection.recv(65_536)):
        size += len(piece)
        time.sleep(0.05)
    assert time.monotonic() - started > WRITE_SECONDS
    assert size >= 3_000_000
    connection.close()
