"""Where a request begins and ends, and what is no request: each with its one right answer."""

import json
import re
import socket
import time
from itertools import pairwise

import pytest

from tests.api.raw import HEAD, ask, chunk, connected, post, read_answer
from tests.attacks.stage import answers, read_to_end
from tests.service import Service

BODY = b'{"message":"6 * 7"}'
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
LIVE = b"GET /live HTTP/1.1\r\nHost: x\r\n\r\n"
HIDDEN = b"GET /usage HTTP/1.1\r\nHost: x\r\n\r\n"
UPGRADES = {
    "h2c": b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n",
    "websocket": b"Connection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
    "anything": b"Connection: upgrade\r\nUpgrade: foo/2, bar\r\n",
    "without a name": b"Connection: upgrade\r\nUpgrade:\r\n",
}


@pytest.mark.parametrize("pause", [0, 0.05])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("kind", UPGRADES)
def test_an_upgrade_is_ignored_and_the_body_belongs_to_the_request(
    demo: Service, kind: str, chunked: bool, pause: float
) -> None:
    head = HEAD % b"/chat" + UPGRADES[kind] + (CHUNKED if chunked else LENGTH)
    body = chunk(BODY[:5]) + chunk(BODY[5:]) + b"0\r\n\r\n" if chunked else BODY
    with connected(demo.port) as connection:
        for _ in range(2):
            connection.sendall(head[:40])
            time.sleep(pause)
            connection.sendall(head[40:] + body[:7])
            time.sleep(pause)
            connection.sendall(body[7:])
            answer = read_answer(connection)
            assert (answer.status, b"42" in answer.body) == (200, True)


@pytest.mark.parametrize("kind", UPGRADES)
def test_nothing_is_smuggled_behind_an_upgrade(demo: Service, kind: str) -> None:
    """What a proxy takes for the body of one request is never answered as another."""
    body = HIDDEN * 3
    hidden = HEAD % b"/chat" + UPGRADES[kind] + b"Content-Length: %d\r\n\r\n" % len(body) + body
    assert [answer.status for answer in answers(demo.port, hidden + LIVE, 2)] == [422, 200]
    behind = b"GET /live HTTP/1.1\r\nHost: x\r\n" + UPGRADES[kind] + b"\r\n" + LIVE
    assert [answer.status for answer in answers(demo.port, behind, 2)] == [200, 200]


def test_a_websocket_is_answered_without_advice_to_the_operator(demo: Service) -> None:
    request = b"GET /live HTTP/1.1\r\nHost: x\r\n" + UPGRADES["websocket"] + b"\r\n"
    assert ask(demo.port, request).status == 200
    assert "websocket" not in demo.raw_log().lower()
    assert "pip install" not in demo.raw_log()


@pytest.mark.parametrize("path", [b"/chat/stream", b"/chat", b"/live"])
def test_http_1_0_is_answered_without_chunks(demo: Service, path: bytes) -> None:
    head = HEAD % path + LENGTH + BODY if path != b"/live" else b"GET /live HTTP/1.1\r\n\r\n"
    with connected(demo.port) as connection:
        connection.sendall(head.replace(b"HTTP/1.1", b"HTTP/1.0") + LIVE)
        first, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert first.startswith(b"HTTP/1.1 200")
    assert b"transfer-encoding" not in first
    assert b"connection: close" in first
    if path == b"/chat/stream":
        assert b"content-length" not in first
        assert body.endswith(b"data: [DONE]\n\n")
        assert re.match(rb"id: 1\nevent: run.started\n", body)
    else:
        assert len(json.loads(body)) >= 1


MALFORMED: dict[str, bytes] = {
    "no Host": b"GET /live HTTP/1.1\r\n\r\n",
    "two Hosts": b"GET /live HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
    "two Hosts in one": b"GET /live HTTP/1.1\r\nHost: a, b\r\n\r\n",
    "a Host with a path": b"GET /live HTTP/1.1\r\nHost: a/b\r\n\r\n",
    "a Host with a user": b"GET /live HTTP/1.1\r\nHost: a@b\r\n\r\n",
    "two Hosts in 1.0": b"GET /live HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n",
    "an upgrade without Host": b"GET /live HTTP/1.1\r\n" + UPGRADES["h2c"] + b"\r\n",
    "HTTP/0.9": b"GET /live\r\n\r\n",
    "HTTP/2.0": b"GET /live HTTP/2.0\r\nHost: x\r\n\r\n",
    "HTTP/9.9": b"GET /live HTTP/9.9\r\nHost: x\r\n\r\n",
    "HTTP/2 with prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "TLS": bytes.fromhex("16030100a5010000a10303") + b"\0" * 160,
    "garbage": b"\x00\xff\xfe nonsense\r\n\r\n",
    "an unknown method": b"BREW /live HTTP/1.1\r\nHost: x\r\n\r\n",
    "CONNECT": b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com\r\n\r\n",
    "bare LF": b"GET /live HTTP/1.1\nHost: x\n\n",
    "a folded header": b"GET /live HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n",
    "a space before the colon": b"GET /live HTTP/1.1\r\nHost : x\r\n\r\n",
    "a NUL in a value": b"GET /live HTTP/1.1\r\nHost: x\r\nA: b\0c\r\n\r\n",
    "a CR in a value": b"GET /live HTTP/1.1\r\nHost: x\r\nA: b\rc\r\n\r\n",
    "an empty name": b"GET /live HTTP/1.1\r\nHost: x\r\n: c\r\n\r\n",
    "a URL that is none": b"GET \xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
    "length and chunks": HEAD % b"/chat" + b"Content-Length: 5\r\n" + CHUNKED + b"0\r\n\r\n",
    "chunks and length": HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two lengths": HEAD % b"/chat" + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "chunks in 1.0": (HEAD % b"/chat" + CHUNKED + b"0\r\n\r\n").replace(b"HTTP/1.1", b"HTTP/1.0"),
    "gzip and chunks": HEAD % b"/chat" + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks and gzip": HEAD % b"/chat" + b"Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    "chunks twice": HEAD % b"/chat" + b"Transfer-Encoding: chunked\r\n" + CHUNKED + b"0\r\n\r\n",
    "identity": HEAD % b"/chat" + b"Transfer-Encoding: identity\r\n\r\n",
    "xchunked": HEAD % b"/chat" + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("kind", MALFORMED)
def test_what_is_no_request_gets_a_problem_and_the_end_of_the_connection(demo: Service, kind: str) -> None:
    with connected(demo.port) as connection:
        connection.sendall(MALFORMED[kind] + LIVE)
        head, _, body = read_to_end(connection).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n"), head
    assert b"connection: close" in head.lower()
    assert b"content-type: application/problem+json" in head.lower()
    assert json.loads(body)["type"] == "urn:agent-api:problem:malformed-request"
    assert body.count(b"HTTP/1.1 ") == 0


def test_what_is_no_request_is_logged_with_its_sender_and_counted(demo: Service) -> None:
    series = 'agent_requests_total{endpoint="none",method="other",outcome="",status="400"}'
    before = demo.metrics().get(series, 0)
    with connected(demo.port) as connection:
        connection.sendall(b"\x16\x03\x01 sk-of-the-user \x1b[31m\r\n\r\n")
        answer = read_answer(connection)
        line = demo.wait_for_event("request", request_id=answer.headers["x-request-id"])
    assert (line["status"], line["peer"]) == (400, "127.0.0.1")
    assert line.keys().isdisjoint({"method", "path"})
    assert "TLS" in line["reason"]
    assert demo.metrics()[series] == before + 1
    assert "sk-of-the-user" not in demo.raw_log()


def test_a_body_that_cannot_be_read_is_400_with_its_sender(demo: Service) -> None:
    request = HEAD % b"/chat" + b"X-Request-Id: half-chunked\r\n" + CHUNKED + b"2\r\n{}\r\nzz\r\n" + LIVE
    with connected(demo.port) as connection:
        connection.sendall(request)
        arrived = read_to_end(connection)
    assert arrived.startswith(b"HTTP/1.1 400 ")
    assert arrived.count(b"HTTP/1.1 ") == 1
    line = demo.wait_for_event("request", request_id="half-chunked")
    assert (line["status"], line["peer"], line["path"]) == (400, "127.0.0.1", "/chat")


@pytest.mark.parametrize("size", [b"fffffffffffffffff", b"-1", b"1x", b" 2", b"0x2", b""])
def test_a_chunk_size_that_is_none_is_refused(demo: Service, size: bytes) -> None:
    assert ask(demo.port, HEAD % b"/chat" + CHUNKED + size + b"\r\n{}\r\n0\r\n\r\n").status == 400


def test_a_trailer_is_nobodys_header(demo: Service) -> None:
    """It would come after the checks of the head."""
    trailer = b"0\r\nX-Request-Id: of-the-trailer\r\nHost: b\r\n\r\n"
    found = answers(demo.port, HEAD % b"/chat" + CHUNKED + chunk(BODY) + trailer + LIVE, 2)
    assert [answer.status for answer in found] == [200, 200]
    assert "of-the-trailer" not in str(found)


def test_chunk_extensions_are_passed_over(demo: Service) -> None:
    body = b"%x;a=b;c\r\n%b\r\n0;last\r\n\r\n" % (len(BODY), BODY)
    assert ask(demo.port, HEAD % b"/chat" + CHUNKED + body).status == 200


def test_requests_that_come_together_are_answered_in_their_order(demo: Service) -> None:
    questions = [f"{number} * 1000" for number in range(1, 8)]
    pieces = [post("/chat", json.dumps({"message": question}).encode()) for question in questions]
    pieces.insert(3, HEAD % b"/chat" + CHUNKED + chunk(b'{"message":') + chunk(b'"99 * 1000"}') + b"0\r\n\r\n")
    pieces.insert(5, LIVE)
    found = answers(demo.port, b"".join(pieces), 9)
    assert [answer.status for answer in found] == [200] * 9
    results = [int(match[1]) for answer in found if (match := re.search(rb"says: (\d+)", answer.body))]
    assert results == [1000, 2000, 3000, 99000, 4000, 5000, 6000, 7000]


def test_a_body_with_empty_lines_in_it_is_one_body(demo: Service) -> None:
    body = b'\r\n\r\n{"message":\r\n\r\n"6 * 7"\r\n\r\n}\r\n\r\n'
    for request in (post("/chat", body), HEAD % b"/chat" + CHUNKED + chunk(body) + b"0\r\n\r\n"):
        for cut in (1, 60, len(request) - 5, len(request)):
            with connected(demo.port) as connection:
                connection.sendall(request[:cut])
                time.sleep(0.02)
                connection.sendall(request[cut:])
                assert b"42" in read_answer(connection).body


def test_what_is_malformed_is_told_after_the_answer_to_what_came_before(demo: Service) -> None:
    with connected(demo.port) as connection:
        connection.sendall(post("/chat", BODY) + LIVE + b"nonsense\r\n\r\n")
        arrived = read_to_end(connection)
    assert re.findall(rb"HTTP/1.1 (\d+)", arrived) == [b"200", b"200", b"400"]


def test_requests_may_come_in_any_pieces(demo: Service) -> None:
    requests = post("/chat", BODY) + LIVE + b"\r\n" + LIVE
    for step in (1, 7, 50):
        with connected(demo.port) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            for start, end in pairwise([*range(0, len(requests), step), len(requests)]):
                connection.sendall(requests[start:end])
            connection.shutdown(socket.SHUT_WR)
            arrived = read_to_end(connection)
        assert re.findall(rb"HTTP/1.1 (\d+)", arrived) == [b"200"] * 3, step


def test_a_client_that_has_closed_its_side_gets_its_answer(demo: Service) -> None:
    with connected(demo.port) as connection:
        connection.sendall(post("/chat", BODY))
        connection.shutdown(socket.SHUT_WR)
        assert b"42" in read_to_end(connection)


@pytest.mark.parametrize(
    ("target", "status"), [(b"http://x/live", 200), (b"http://x", 404), (b"*", 404), (b"/live?a=b#c", 200)]
)
def test_each_form_of_a_target_is_understood(demo: Service, target: bytes, status: int) -> None:
    assert ask(demo.port, b"GET %b HTTP/1.1\r\nHost: x\r\n\r\n" % target).status == status
