"""Odd requests on every route: each gets the status that is right for it and a problem document, none gets a 500."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.raw import Answer, connected, read_from
from tests.service import Service

SECRET = "an-hs256-secret-of-this-test-only-0123456789"
ROUTES = {
    "/chat": {"POST"},
    "/chat/stream": {"POST"},
    "/api/chat": {"POST"},
    "/agent/run": {"POST"},
    "/api/tools": {"GET", "HEAD"},
    "/api/tools/calculator": {"POST"},
    "/runs": {"GET", "HEAD", "POST"},
    "/runs/mine": {"GET", "HEAD"},
    "/runs/mine/events": {"GET", "HEAD"},
    "/runs/mine/cancel": {"POST"},
    "/sessions": {"GET", "HEAD"},
    "/sessions/mine": {"GET", "HEAD", "DELETE"},
    "/usage": {"GET", "HEAD"},
    "/feedback": {"POST"},
    "/live": {"GET", "HEAD"},
    "/ready": {"GET", "HEAD"},
    "/health": {"GET", "HEAD"},
    "/openapi.json": {"GET", "HEAD"},
    "/docs": {"GET", "HEAD"},
}
METHODS = ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "M-SEARCH"]


def send(port: int, method: str, target: str, *lines: str, body: bytes = b"") -> Answer:
    """The one answer of a connection of its own, which may have no body."""
    head = [f"{method} {target} HTTP/1.1", "Host: x", "Connection: close", *lines]
    if body:
        head += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
    with connected(port) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode("latin-1") + body)
        with connection.makefile("rb") as file:
            return read_from(file)


def check(answer: Answer, *statuses: int, bodiless: bool = False) -> None:
    assert answer.status in statuses, answer
    if answer.status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        if not bodiless:
            problem = json.loads(answer.body)
            assert problem["status"] == answer.status
            assert problem["type"].startswith("urn:agent-api:problem:")


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("path", ROUTES)
def test_a_method_is_served_or_refused_as_a_problem(demo: Service, path: str, method: str) -> None:
    answer = send(demo.port, method, path)
    if method in ROUTES[path]:
        check(answer, 200, 404, bodiless=method == "HEAD")
    else:
        expected = {405, 422} if method in ("PUT", "PATCH") else {405}
        check(answer, *expected, 415, bodiless=method == "HEAD")


@pytest.mark.parametrize(
    ("target", "status"),
    [
        ("//chat", 404),
        ("/chat//", 404),
        ("/chat%2f", 404),
        ("/chat%00", 404),
        ("/chat;a=b", 404),
        ("/./chat", 404),
        ("/../chat", 404),
        ("/api/../chat", 404),
        ("/sessions/%2e%2e", 422),
        ("/sessions/a%2fb", 404),
        ("/sessions/%00", 422),
        ("/sessions/%ed%a0%80", 422),
        ("/sessions/" + "a" * 5000, 422),
        ("/sessions/a?user_id=%00", 422),
        ("/sessions/a?user_id=%ff", 422),
        ("/sessions?limit=" + "9" * 5000, 422),
        ("/sessions?limit=%D9%A3", 422),
        ("/sessions?before=nan", 422),
        ("/sessions?before=1e400", 422),
        ("/runs/%00", 422),
        ("/runs/a/events?after=" + "9" * 400, 422),
        ("/runs?cursor=%ff", 422),
        ("/runs?cursor=" + "9" * 5000, 422),
        ("/runs?status=queued%00", 422),
        ("/usage?days=1.5", 422),
        ("/usage?days=" + "9" * 400, 422),
        ("http://x/live", 200),
        ("http://elsewhere/nowhere", 404),
        ("http://x:99999/live", 400),
        ("http:///live", 400),
        ("*", 404),
        ("live", 400),
        ("/live?" + "a=b&" * 10_000, 200),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_target_gets_the_status_that_is_right(demo: Service, target: str, status: int) -> None:
    check(send(demo.port, "GET", target), status)


BODIES = [
    (b"NaN", 422),
    (b'{"message": NaN}', 422),
    (b'{"message": "a", "session_id": "\\ud800"}', 422),
    (b'{"message": "a", "user_id": "\\udfff"}', 422),
    (b'{"message": "\\udc00"}', 422),
    (b'{"message": "\xed\xa0\x80"}', 422),
    (b'{"message": 1e400}', 422),
    (b'{"message": ' + b"9" * 20_000 + b"}", 422),
    (b"[" * 100_000, 422),
    (b'{"a":' * 5_000 + b"1" + b"}" * 5_000, 422),
    (b'{"message": "a", "message": "b"}', 200),
    (b'{"message": "a"}{"message": "b"}', 422),
    ('{"message": "a"}'.encode("utf-16"), 422),
    (b'{"message": "a\x00"}', 422),
    (b'{"message": "a",}', 422),
    (b"null", 422),
]


@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run", "/runs"])
@pytest.mark.parametrize(("body", "status"), BODIES, ids=lambda value: str(value)[:40])
def test_a_body_gets_the_status_that_is_right(demo: Service, path: str, body: bytes, status: int) -> None:
    taken = (200, 202) if status == 200 else (status,)
    check(send(demo.port, "POST", path, body=body), *taken)


@pytest.mark.parametrize(
    "line",
    [
        "X-Request-Id: " + "a" * 200,
        "X-Request-Id: \xff",
        "traceparent: ff-x",
        "traceparent: \xff\xfe",
        "Origin: null",
        "Origin: \xff",
        "X-Forwarded-For: " + "1.2.3.4," * 500,
        "X-Forwarded-Prefix: /x",
        "X-Forwarded-Host: elsewhere",
        "Forwarded: for=1.2.3.4",
        "Authorization: Basic x",
        "X-HTTP-Method-Override: DELETE",
        "Range: bytes=0-1",
        "Idempotency-Key: \xff",
    ],
    ids=lambda line: line[:30],
)
def test_a_header_that_nobody_asked_for_changes_nothing(demo: Service, line: str) -> None:
    answer = send(demo.port, "POST", "/chat", line, body=b'{"message": "hi"}')
    check(answer, 200)
    assert json.loads(answer.body)["answer"]
    assert len(answer.headers["x-request-id"]) <= 128


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("closed"),
        auth="jwt",
        jwt_secret=SECRET,
        jwt_algorithms="HS256",
        jwt_issuer="issuer",
        jwt_audience="audience",
        refused_per_minute="off",
    )
    yield service
    service.end()


def base64url(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def signed(claims: Any, header: Any = None, secret: str = SECRET) -> str:
    text = f"{base64url({'alg': 'HS256'} if header is None else header)}.{base64url(claims)}"
    digest = hmac.new(secret.encode(), text.encode(), hashlib.sha256).digest()
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def claims(**others: Any) -> dict[str, Any]:
    until = int(time.time()) + 600
    return {"iss": "issuer", "aud": "audience", "sub": "ada", "scope": "chat", "exp": until, **others}


def ask_with(service: Service, credential: str) -> Answer:
    return send(service.port, "POST", "/chat", f"Authorization: Bearer {credential}", body=b'{"message": "hi"}')


@pytest.mark.parametrize("sub", ["ada", "\0", "\ud800", "a" * 3000], ids=["name", "nul", "surrogate", "long"])
def test_whoever_the_issuer_names_is_served(closed: Service, sub: str) -> None:
    check(ask_with(closed, signed(claims(sub=sub))), 200)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": 5},
        {"sub": None},
        {"sub": ["ada"]},
        {"sub": ""},
        {"exp": "9999999999"},
        {"exp": True},
        {"exp": []},
        {"exp": float("inf")},
        {"exp": float("nan")},
        {"exp": -1},
        {"nbf": "1"},
        {"nbf": 99_999_999_999},
        {"iat": "1"},
        {"aud": {"audience": 1}},
        {"aud": [5]},
        {"iss": ["issuer"]},
        {"scope": 5},
        {"scope": {}},
        {"tier": []},
        {"team": {}},
    ],
    ids=str,
)
def test_a_claim_of_another_type_is_refused(closed: Service, wrong: dict[str, Any]) -> None:
    check(ask_with(closed, signed(claims(**wrong))), 401)


@pytest.mark.parametrize("all_claims", [[1], "x", None, {}], ids=str)
def test_claims_that_are_none_are_refused(closed: Service, all_claims: Any) -> None:
    check(ask_with(closed, signed(all_claims)), 401)


@pytest.mark.parametrize(
    "header",
    [{"alg": "none"}, {"alg": "None"}, {"alg": "HS512"}, {"alg": "RS256"}, {"alg": 5}, {"alg": ["HS256"]}, {}, []]
    + [{"alg": "HS256", more: value} for more, value in (("kid", 5), ("kid", {}), ("crit", ["b64"]), ("crit", 5))],
    ids=str,
)
def test_a_header_of_another_kind_is_refused(closed: Service, header: Any) -> None:
    token = signed(claims(), header)
    check(ask_with(closed, token), 401)
    check(ask_with(closed, token.rpartition(".")[0] + "."), 401)


@pytest.mark.parametrize(
    "credential",
    ["", ".", "..", "a.b.c", "a.b.c.d.e", "x" * 60_000, "\xff", "two words", "a,b"],
    ids=lambda value: value[:10] or "empty",
)
def test_what_is_no_token_is_refused(closed: Service, credential: str) -> None:
    check(ask_with(closed, credential), 401)


def test_a_token_signed_by_somebody_else_is_refused(closed: Service) -> None:
    check(ask_with(closed, signed(claims(), secret="")), 401)
    check(ask_with(closed, signed(claims(), secret=SECRET[::-1])), 401)


@pytest.mark.parametrize(
    "path", ["/chat", "/chat/", "//chat", "/live/", "/live/../chat", "/live%2f..%2fchat", "/LIVE", "/live;x", "/docs/x"]
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE", "OPTIONS", "TRACE"])
def test_no_other_spelling_of_a_path_is_open(closed: Service, path: str, method: str) -> None:
    check(send(closed.port, method, path), 401, bodiless=method == "HEAD")
