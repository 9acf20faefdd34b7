"""What one stranger can make the process keep: megabytes while it lasts, and what is left of them after."""

from collections.abc import Iterator
from itertools import cycle, islice

import pytest

from tests.api.raw import HEAD, post
from tests.attacks.stage import flood, many, measured, read_to_end
from tests.service import Service

MEGABYTE = 1_000_000
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
CHUNKED = HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\n\r\n"
LINES = b"".join(b"X-%d: %b\r\n" % (number, b"a" * 32) for number in range(2000))
MOST = 25.0  # megabytes, of which the buffers of the sockets' reads are a part
LEFT = 12.0


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("attacked"),
        body_timeout_seconds=3,
        max_bodies_bytes=10 * MEGABYTE,
        max_body_bytes=1 << 20,
    )
    for _ in range(20):
        service.chat("hi")  # whatever the first requests need is there
    yield service
    service.end()


ENDLESS: dict[str, tuple[bytes, bytes, bytes]] = {
    "one header": (LIVE[:-2] + b"A: ", b"a" * 65_536, b"431"),
    "headers": (LIVE[:-2], LINES, b"431"),
    "the smallest headers": (LIVE[:-2], b"a:\r\n" * 20_000, b"431"),
    "a header's name": (LIVE[:-2], b"a" * 65_536, b"431"),
    "a URL": (b"GET /", b"a" * 65_536, b"431"),
    "a query": (b"GET /live?", b"a" * 65_536, b"431"),
    "empty lines": (b"", b"\r\n" * 32_768, b"431"),
    "one trailer": (CHUNKED + b"2\r\n{}\r\n0\r\nA: ", b"a" * 65_536, b"431"),
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", LINES, b"431"),
    "a chunk's extension": (CHUNKED + b"2;a=", b"a" * 65_536, b"431"),
    "chunks' extensions": (CHUNKED, b"1;" + b"a" * 1000 + b"\r\n \r\n", b"431"),
    "chunks of a byte": (CHUNKED, b"1\r\n \r\n" * 10_000, b"400"),
    "one chunk": (CHUNKED + b"ffffffffffffffff\r\n", b" " * 65_536, b"413"),
}


@pytest.mark.parametrize("kind", ENDLESS)
def test_what_never_ends_is_refused_and_nothing_of_it_kept(service: Service, kind: str) -> None:
    begin, piece, status = ENDLESS[kind]
    with measured(service) as found, many(service.port, 1) as [connection]:
        connection.sendall(begin)
        sent = flood([connection], piece * max(1, 65_536 // len(piece)), 5, 100 * MEGABYTE)
        arrived = read_to_end(connection)
    assert sent < 20 * MEGABYTE  # of which most is in the buffers of the sockets
    assert arrived[:13] in (b"", b"HTTP/1.1 %b " % status), arrived
    assert found.peak < found.before + MOST
    assert found.after < found.before + LEFT
    assert not found.failures
    assert found.median < 250


@pytest.mark.parametrize("kind", ["one header", "headers", "a URL", "one trailer"])
def test_a_head_just_above_64_kib_gets_its_answer(service: Service, kind: str) -> None:
    begin, piece, status = ENDLESS[kind]
    above = bytes(islice(cycle(piece), 66_000))
    with many(service.port, 1) as [connection]:
        connection.sendall(begin + above)
        assert read_to_end(connection).startswith(b"HTTP/1.1 %b " % status)


def test_a_head_just_below_64_kib_is_read(service: Service) -> None:
    with many(service.port, 1) as [connection]:
        connection.sendall(LIVE[:-2] + b"Connection: close\r\nA: " + b"a" * 65_000 + b"\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize(
    "request_", [LIVE, LIVE[:-2] + b"Connection: upgrade\r\nUpgrade: h2c\r\n\r\n", post("/chat", b'{"message":"hi"}')]
)
def test_pipelined_requests_wait_in_the_socket(service: Service, request_: bytes) -> None:
    with measured(service) as found, many(service.port, 1) as [connection]:
        flood([connection], request_ * 1000, 2, 23 * MEGABYTE)
    assert found.peak < found.before + MOST
    assert found.after < found.before + LEFT
    assert not found.failures
    assert found.median < 250


def test_bodies_of_clients_that_leave_are_not_kept(service: Service) -> None:
    body = post("/chat", b" " * MEGABYTE)[:-1]
    with measured(service) as found, many(service.port, 8) as connections:
        flood(connections, body, 2, len(body))
        for connection in connections:
            connection.close()
    assert found.peak < found.before + MOST + 20
    assert found.after < found.before + LEFT


def test_bodies_that_never_end_are_bounded_together(service: Service) -> None:
    body = post("/chat", b'{"message":"hi"}' + b" " * 1_040_000)[:-3]
    with measured(service) as found, many(service.port, 200) as connections:
        flood(connections, body, 2, len(body))
        statuses = [read_to_end(connection, 15)[:13] for connection in connections]
    assert statuses.count(b"HTTP/1.1 503 ") > 100
    assert statuses.count(b"HTTP/1.1 408 ") >= 5
    assert found.peak < found.before + MOST + 30
    assert found.after < found.before + LEFT
    assert not found.failures, "small bodies are read all the while"
    assert service.chat("hi" + " " * 9000).status_code == 200


def test_heads_that_never_end_take_64_kib_each(service: Service) -> None:
    with measured(service) as found, many(service.port, 300) as connections:
        flood(connections, LIVE[:-2] + b"A: " + b"a" * 60_000, 2, 60_000)
        for connection in connections:
            connection.close()
    assert found.peak < found.before + 300 * 0.075 + MOST
    assert found.after < found.before + LEFT
