"""What is not there, and what is not possible there."""

import pytest

from tests.api.raw import ask, connected
from tests.service import Service, problem_of

ALLOWED = {
    "/chat": {"POST"},
    "/api/chat/stream": {"POST"},
    "/agent/run": {"POST"},
    "/api/tools": {"GET", "HEAD"},
    "/api/tools/clock": {"POST"},
    "/runs": {"GET", "HEAD", "POST"},
    "/runs/mine": {"GET", "HEAD"},
    "/runs/mine/events": {"GET", "HEAD"},
    "/runs/mine/cancel": {"POST"},
    "/sessions": {"GET", "HEAD"},
    "/sessions/mine": {"GET", "HEAD", "DELETE"},
    "/batches": {"GET", "HEAD", "POST"},
    "/batches/one/results": {"GET", "HEAD"},
    "/batches/one/cancel": {"POST"},
    "/live": {"GET", "HEAD"},
    "/health": {"GET", "HEAD"},
}
METHODS = {"GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"}


@pytest.mark.parametrize("path", ["/", "/nowhere", "/chat/", "/CHAT", "//chat", "/api", "/sessions/", "/sessions/a/b"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
def test_an_unknown_path_is_not_found(demo: Service, method: str, path: str) -> None:
    response = demo.client.request(method, f"{demo.url}{path}")
    problem_of(response, 404, "not-found")


@pytest.mark.parametrize(
    ("path", "method"), [(path, method) for path, allowed in ALLOWED.items() for method in sorted(METHODS - allowed)]
)
def test_another_method_is_told_which_are_allowed(demo: Service, path: str, method: str) -> None:
    response = demo.ask(method, path)
    problem_of(response, 405, "method-not-allowed")
    assert {name.strip() for name in response.headers["allow"].split(",")} == ALLOWED[path]


@pytest.mark.parametrize("path", ALLOWED)
def test_an_answer_to_head_has_no_body(demo: Service, path: str) -> None:
    head, get = demo.ask("HEAD", path), demo.ask("GET", path)
    assert head.status_code == get.status_code
    assert head.content == b""
    volatile = {"date", "x-request-id", "x-trace-id", "x-request-latency"}
    if path != "/health":  # its age differs
        assert {name: value for name, value in head.headers.items() if name not in volatile} == {
            name: value for name, value in get.headers.items() if name not in volatile
        }


@pytest.mark.parametrize("path", ["/live", "/ready", "/health", "/openapi.json", "/docs", "/api/tools", "/usage"])
def test_what_can_be_got_can_be_asked_about(demo: Service, path: str) -> None:
    with connected(demo.port) as connection:
        connection.sendall(f"HEAD {path} HTTP/1.1\r\nHost: x\r\n\r\nGET /live HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        with connection.makefile("rb") as answers:
            head = b"".join(iter(answers.readline, b"\r\n"))
            assert head.startswith(b"HTTP/1.1 200 ")
            assert int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]) > 0
            assert answers.readline().startswith(b"HTTP/1.1 200 "), "a body stood between the answers"


def test_a_refused_head_is_told_which_methods_there_are(demo: Service) -> None:
    response = demo.ask("HEAD", "/chat")
    assert (response.status_code, response.content) == (405, b"")
    assert response.headers["allow"] == "POST"


def test_requests_about_a_path_are_counted_as_what_they_are(demo: Service) -> None:
    demo.ask("HEAD", "/api/tools")
    demo.wait_for_event("request", method="HEAD", path="/api/tools")
    assert demo.metrics()['agent_requests_total{endpoint="/api/tools",method="HEAD",outcome="",status="200"}'] >= 1


@pytest.mark.parametrize(
    "path", ["/%00", "/%ff", "/%ed%a0%80", "/a%0d%0aX-Evil:%20yes", "/" + "x" * 20_000, "/%2e%2e/%2e%2e/etc/passwd"]
)
def test_an_odd_path_is_not_found(demo: Service, path: str) -> None:
    answer = ask(demo.port, b"GET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert answer.status == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert "x-evil" not in answer.headers


@pytest.mark.parametrize(
    "line", [b"GET /\xff\xfe HTTP/1.1", b"GET / HTTP/9.9", b"nonsense", b"\x16\x03\x01\x02", b"GET  HTTP/1.1"]
)
def test_what_is_no_http_is_refused(demo: Service, line: bytes) -> None:
    assert ask(demo.port, line + b"\r\nHost: x\r\n\r\n").status in (400, 404)
    assert demo.ask("GET", "/live").status_code == 200


def test_a_query_that_nobody_asked_for_is_no_trouble(demo: Service) -> None:
    assert demo.ask("POST", "/chat?x=%ff&y=%00&x", {"message": "hi"}).status_code == 200
