"""Whatever a body holds: an answer that the document knows, never a 500, never a hang."""

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.api.document import Document
from tests.api.raw import ask
from tests.service import Service

FIELDS = ["message", "query", "session_id", "user_id", "model", "agent", "stream", "max_iterations", "max_cost_usd"]
FIELDS += ["tools", "arguments", "expression", "zone", "", "__proto__", "\0"]
PATHS = ["/chat", "/chat/stream", "/api/chat", "/api/chat/stream", "/agent/run", "/api/tools/{name}"]

TEXTS = st.one_of(
    st.sampled_from(["hi", "6 * 7", "what time is it", "calculator", "demo", "default", "ada", "2**999999", "earlier"]),
    st.text(max_size=40),
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), TEXTS)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)
NEARLY = st.fixed_dictionaries(
    {"message": TEXTS},
    optional={
        "session_id": st.sampled_from(["a", "a b", "x" * 65]) | TEXTS,
        "user_id": TEXTS,
        "model": st.just("demo") | TEXTS,
        "agent": st.just("default") | TEXTS,
        "max_iterations": st.integers(-1, 101),
        "max_cost_usd": st.floats(),
        "tools": st.lists(TEXTS, max_size=3),
        "arguments": st.dictionaries(st.sampled_from(["expression", "zone"]) | TEXTS, VALUES, max_size=3),
    },
)
BODIES = st.one_of(VALUES, st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=5), NEARLY)
QUERIES = {
    "/sessions": ["user_id", "limit", "before"],
    "/sessions/{session_id}": ["user_id"],
    "/usage": ["user_id", "days"],
    "/admin/usage": ["user_id", "days"],
}
WORDS = st.one_of(
    TEXTS,
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(["1e9", "50", "", "x" * 300, "auth0|1", "\ufffd"]),
)
FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.fixture(scope="module")
def document(demo: Service) -> Document:
    return Document(demo.ask("GET", "/openapi.json").json())


def named(path: str, body: Any) -> Any:
    """With the arguments alone where a tool is called."""
    if isinstance(body, dict) and path.startswith("/api/tools") and "arguments" in body:
        return body["arguments"]
    return body


@FUZZ
@given(path=st.sampled_from(PATHS), body=BODIES)
def test_any_json_gets_a_documented_answer(demo: Service, document: Document, path: str, body: Any) -> None:
    content = json.dumps(named(path, body))
    response = demo.client.post(
        path.replace("{name}", "calculator"), content=content, headers={"Content-Type": "application/json"}
    )
    assert response.status_code in (200, 404, 422)
    document.check(response, path)


@FUZZ
@given(
    path=st.sampled_from(PATHS), body=st.binary(max_size=60) | TEXTS.map(lambda text: f'{{"message":"{text}"'.encode())
)
def test_any_bytes_get_a_documented_answer(demo: Service, document: Document, path: str, body: bytes) -> None:
    response = demo.client.post(
        path.replace("{name}", "clock"), content=body, headers={"Content-Type": "application/json"}
    )
    assert response.status_code in (200, 422)
    document.check(response, path)


@FUZZ
@given(
    path=st.sampled_from(sorted(QUERIES)),
    method=st.sampled_from(["GET", "HEAD", "DELETE"]),
    session_id=WORDS,
    query=st.lists(st.tuples(st.integers(0, 3), WORDS), max_size=4),
)
def test_any_query_gets_a_documented_answer(
    demo: Service, document: Document, path: str, method: str, session_id: str, query: list[tuple[int, str]]
) -> None:
    names = [*QUERIES[path], "unheard_of"]
    fields = urlencode([(names[number % len(names)], value) for number, value in query], errors="replace")
    segment = quote(session_id, safe="", errors="replace").replace(".", "%2E") or "_"
    response = demo.client.request(method, path.replace("{session_id}", segment), params=fields)
    assert response.status_code in (200, 204, 403, 404, 405, 422)
    if method == "HEAD":
        assert response.content == b""
    elif response.status_code != 405 and "%2F" not in segment:
        document.check(response, path)


@FUZZ
@given(path=st.binary(max_size=30), method=st.sampled_from([b"GET", b"HEAD", b"POST", b"DELETE", b"PUT", b"OPTIONS"]))
def test_any_path_gets_an_answer(demo: Service, path: bytes, method: bytes) -> None:
    quoted = b"".join(b"%%%02x" % byte for byte in path)
    head = b"%b /%b HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 0\r\n\r\n" % (method, quoted)
    assert ask(demo.port, head).status in (200, 404, 405, 415, 422)


@FUZZ
@given(
    name=st.sampled_from(
        [
            "X-Request-Id",
            "traceparent",
            "tracestate",
            "Authorization",
            "Content-Type",
            "Content-Encoding",
            "X-Forwarded-Prefix",
            "Origin",
            "Accept",
            "Cookie",
            "X",
        ]
    ),
    value=st.binary(max_size=60).map(lambda raw: raw.translate(None, b"\0\r\n").strip()),
)
def test_any_header_gets_an_answer(demo: Service, name: str, value: bytes) -> None:
    body = b'{"message":"hi"}'
    head = b"POST /chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %d\r\n" % len(body)
    if name != "Content-Type":
        head += b"Content-Type: application/json\r\n"
    answer = ask(demo.port, head + name.encode() + b": " + value + b"\r\n\r\n" + body)
    assert answer.status in (200, 400, 415)
