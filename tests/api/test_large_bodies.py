"""Bodies over MAX_BODY_BYTES: refused before they are read."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.raw import HEAD, ask, chunk, connected, post, read_answer
from tests.service import Service, problem_of

MEGABYTE = b" " * 1_000_000
LIMIT = 1_048_576
JSON = {"Content-Type": "application/json"}
PATHS = ["/chat", "/chat/stream", "/agent/run", "/api/tools/clock"]


def resident_megabytes(service: Service) -> float:
    status = Path(f"/proc/{service.process.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


@pytest.mark.parametrize("path", PATHS)
def test_a_length_of_100_mb_is_refused_before_a_byte_is_sent(demo: Service, path: str) -> None:
    with connected(demo.port) as connection:
        connection.sendall(HEAD % path.encode() + b"Content-Length: 100000000\r\n\r\n")
        answer = read_answer(connection)
    assert answer.status == 413
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["connection"] == "close"
    assert b'"urn:agent-api:problem:body-too-large"' in answer.body
    assert str(LIMIT).encode() in answer.body


@pytest.mark.parametrize("path", PATHS)
def test_chunks_of_100_mb_are_refused_when_they_are_too_many(demo: Service, path: str) -> None:
    sent = 0
    with connected(demo.port) as connection:
        connection.sendall(HEAD % path.encode() + b"Transfer-Encoding: chunked\r\n\r\n")
        connection.settimeout(0.01)
        while sent < 100_000_000:
            connection.settimeout(5)
            try:
                connection.sendall(chunk(MEGABYTE))
            except OSError:
                break
            sent += len(MEGABYTE)
            connection.settimeout(0.01)
            try:
                if connection.recv(1, 2):  # MSG_PEEK: the answer is there
                    break
            except TimeoutError:
                continue
        connection.settimeout(10)
        assert read_answer(connection).status == 413
    assert sent < 50_000_000


@pytest.mark.parametrize("chunked", [False, True])
def test_a_client_that_sends_all_before_it_reads_gets_its_answer(demo: Service, chunked: bool) -> None:
    def pieces() -> Iterator[bytes]:
        for _ in range(100):
            yield MEGABYTE

    headers = JSON if chunked else JSON | {"Content-Length": "100000000"}
    with demo.new_client() as client:
        problem_of(client.post("/chat", content=pieces(), headers=headers), 413, "body-too-large")


def test_large_bodies_are_not_kept(demo: Service) -> None:
    before = resident_megabytes(demo)
    for _ in range(3):
        with demo.new_client() as client:
            client.post("/chat", content=MEGABYTE * 50, headers=JSON)
    assert resident_megabytes(demo) < before + 40


def test_a_body_of_just_the_limit_is_read(demo: Service) -> None:
    body = b'{"message":"hi"}'
    whole = body + b" " * (LIMIT - len(body))
    assert ask(demo.port, post("/chat", whole)).status == 200
    assert ask(demo.port, post("/chat", whole + b" ")).status == 413
    head = HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\n\r\n"
    assert ask(demo.port, head + chunk(whole) + b"0\r\n\r\n").status == 200
    assert ask(demo.port, head + chunk(whole) + chunk(b" ") + b"0\r\n\r\n").status == 413


def test_a_body_may_come_a_byte_at_a_time(demo: Service) -> None:
    with connected(demo.port) as connection:
        connection.sendall(HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\n\r\n")
        for byte in b'{"message":"hi"}':
            connection.sendall(chunk(bytes([byte])))
            time.sleep(0.002)
        connection.sendall(b"0\r\n\r\n")
        assert read_answer(connection).status == 200


@pytest.mark.parametrize("length", [b"-1", b"x", b"1e3", b"18446744073709551616", b"9" * 5000, b"1, 2", b"0x10"])
def test_a_length_that_is_none_is_refused(demo: Service, length: bytes) -> None:
    answer = ask(demo.port, HEAD % b"/chat" + b"Content-Length: %b\r\n\r\n" % length)
    assert answer.status in (400, 413)


def test_a_length_and_chunks_together_are_refused(demo: Service) -> None:
    head = HEAD % b"/chat" + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert ask(demo.port, head + chunk(b'{"message":"hi"}') + b"0\r\n\r\n").status == 400


def test_a_client_that_asks_first_is_told_before_it_sends(demo: Service) -> None:
    with connected(demo.port) as connection:
        connection.sendall(HEAD % b"/chat" + b"Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n")
        assert read_answer(connection).status == 413


def test_headers_without_end_are_refused(demo: Service) -> None:
    with connected(demo.port) as connection:
        connection.sendall(b"GET /live HTTP/1.1\r\nHost: x\r\n")
        try:
            for _ in range(200):
                connection.sendall(b"X-%b: y\r\n" % (b"a" * 10_000))
            connection.sendall(b"\r\n")
            answer = read_answer(connection)
            assert answer.status in (200, 400, 431)
        except OSError:
            pass
    assert demo.ask("GET", "/live").status_code == 200
