"""Whoever takes their time is told so, and nothing of theirs is kept: heads, bodies, and answers that nobody reads."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.api.raw import HEAD, chunk, connected, post, read_answer
from tests.attacks.stage import read_to_end
from tests.models.servers import Reply
from tests.service import Service
from tests.upstream import MODEL, Upstream, says, says_whole

HEAD_SECONDS = 0.6
BODY_SECONDS = 1.0
WRITE_SECONDS = 1.0
NOISE = 2.0  # the deadlines are looked at four times a second, and a busy machine is late
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b'{"message":"6 * 7"}'
OF_UPSTREAM = b'{"message":"hi","model":"%b"}' % MODEL.encode()
SIZE = 3_000_000


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
    whole = says_whole("done").whole()
    upstream.will(Reply([whole[:9], whole[9:]], pause=HEAD_SECONDS + BODY_SECONDS))
    with connected(hasty.port) as connection:
        connection.sendall(post("/chat", OF_UPSTREAM) + LIVE[:9])
        assert b"done" in read_answer(connection).body


@contextmanager
def unread(service: Service, path: str, buffer: int = 4096) -> Iterator[socket.socket]:
    """A connection whose client sends a request and reads nothing of the answer by itself."""
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        connection.connect(("127.0.0.1", service.port))
        connection.sendall(post(path, OF_UPSTREAM))
        yield connection


@pytest.mark.parametrize("path", ["/chat/stream", "/chat"])
def test_an_answer_that_nobody_reads_ends_the_connection(hasty: Service, upstream: Upstream, path: str) -> None:
    stream = says(*["x" * 1000] * 3000)
    long = stream.with_pieces([stream.whole()]) if path == "/chat/stream" else says_whole("x" * SIZE)
    upstream.will(*[long] * 3)
    with unread(hasty, path) as first, unread(hasty, path) as second, unread(hasty, path) as third:
        for number in (3, 0):
            end = time.monotonic() + 2 * WRITE_SECONDS + 5 + NOISE
            while unsent(hasty) != number:
                assert time.monotonic() < end
                time.sleep(0.05)
        assert hasty.metrics()["agent_active_requests"] == 0
        for connection in (first, second, third):
            assert len(read_to_end(connection)) < SIZE


def unsent(service: Service) -> int:
    """Connections on the service's side that wait for their clients to read."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    port, established = f":{service.port:04X}", "01"
    waiting = [row for row in rows if row[1].endswith(port) and row[3] == established]
    return sum(int(row[4].partition(":")[0], 16) > 0 for row in waiting)


def test_a_slow_reader_gets_all(hasty: Service, upstream: Upstream) -> None:
    """Slower than the deadline altogether, but not without progress."""
    upstream.will(says_whole("x" * SIZE))
    started = time.monotonic()
    size = 0
    with unread(hasty, "/chat", 65_536) as connection:
        connection.settimeout(10)
        while size < SIZE and (piece := connection.recv(65_536)):
            size += len(piece)
            time.sleep(0.03)
    assert time.monotonic() - started > WRITE_SECONDS
    assert size >= SIZE
