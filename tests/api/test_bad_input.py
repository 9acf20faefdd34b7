"""Whatever is sent, the answer says what is wrong with it; nothing is a 500, and nothing hangs."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.service import Service, problem_of

ROUTES = [("/chat", "message"), ("/chat/stream", "message"), ("/agent/run", "query")]
JSON = {"Content-Type": "application/json"}


def send(service: Service, path: str, body: bytes | str | Iterator[bytes], **headers: str) -> Any:
    named = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
    return service.client.post(path, content=body, headers=named)


def fields_of(problem: Any) -> list[str]:
    return [error["field"] for error in problem["errors"]]


@pytest.mark.parametrize(("path", "field"), ROUTES)
@pytest.mark.parametrize(
    "message",
    ["", " ", "\n\t\r", "\u3000", "\u00a0", "x" * 10_001, "a\0b", 5, 1.5, True, None, [], ["a"], {}, {"text": "a"}],
)
def test_a_message_that_is_none_is_refused(demo: Service, path: str, field: str, message: Any) -> None:
    problem = problem_of(demo.ask("POST", path, {field: message}), 422, "invalid-request")
    assert fields_of(problem) == [field]
    assert problem["errors"][0]["problem"]
    assert len(problem["detail"]) < 300


@pytest.mark.parametrize(("path", "field"), ROUTES)
def test_a_missing_message_is_named(demo: Service, path: str, field: str) -> None:
    assert fields_of(problem_of(demo.ask("POST", path, {}), 422, "invalid-request")) == [field]


@pytest.mark.parametrize(("path", "field"), ROUTES)
def test_every_unknown_field_is_named(demo: Service, path: str, field: str) -> None:
    problem = problem_of(demo.ask("POST", path, {field: "a", "temprature": 1, "mesage": "b"}), 422, "invalid-request")
    assert sorted(fields_of(problem)) == ["mesage", "temprature"]


def test_several_mistakes_are_told_at_once(demo: Service) -> None:
    problem = problem_of(demo.chat("", session_id="a b", stream="yes"), 422, "invalid-request")
    assert sorted(fields_of(problem)) == ["message", "session_id", "stream"]


@pytest.mark.parametrize(
    ("field", "value"),
    [("stream", 1), ("stream", "true"), ("stream", None), ("model", 5), ("model", "x" * 257), ("agent", [])],
)
def test_a_field_of_another_type_is_refused(demo: Service, field: str, value: Any) -> None:
    assert fields_of(problem_of(demo.chat("hi", **{field: value}), 422, "invalid-request")) == [field]


BROKEN: dict[str, bytes] = {
    "nothing": b"",
    "blank": b"  ",
    "null": b"null",
    "a text": b'"hi"',
    "a number": b"5",
    "a list": b'[{"message":"hi"}]',
    "cut": b'{"message":"hi"',
    "a comma too many": b'{"message":"hi",}',
    "single quotes": b"{'message':'hi'}",
    "two values": b'{"message":"hi"}{"message":"hi"}',
    "a comment": b'{"message":"hi"} // hi',
    "invalid UTF-8": b'{"message":"\xff\xfe"}',
    "Latin-1": '{"message":"Grüße"}'.encode("latin-1"),
    "UTF-16": '{"message":"hi"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"message":"hi"}',
    "an overlong encoding": b'{"message":"\xc0\xaf"}',
    "an encoded surrogate": b'{"message":"\xed\xa0\x80"}',
    "a lone high surrogate": rb'{"message":"\ud800"}',
    "a lone low surrogate": rb'{"message":"a\udc00b"}',
    "surrogates the wrong way round": rb'{"message":"\udc00\ud800"}',
    "a raw NUL": b'{"message":"a\0b"}',
    "an escaped NUL": rb'{"message":"a\u0000b"}',
    "a raw newline": b'{"message":"a\nb"}',
    "a surrogate as a key": rb'{"message":"hi","\ud800":1}',
    "a NUL as a key": rb'{"message":"hi","\u0000":1}',
    "lists in lists": b'{"message":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "open lists": b"[" * 500_000,
    "objects in objects": b'{"message":' * 50_000,
    "NaN": b'{"message":NaN}',
    "a huge number": b'{"message":1' + b"0" * 100_000 + b"}",
    "a huge exponent": b'{"message":1e999999999}',
    "a form": b"message=hi",
}


ARGUMENTS = ("an escaped NUL", "a NUL as a key", "NaN", "a huge exponent")
"""What is JSON: the tool refuses these itself."""


@pytest.mark.parametrize("kind", [kind for kind in BROKEN if kind not in ARGUMENTS])
def test_what_is_no_object_is_refused_as_arguments_too(demo: Service, kind: str) -> None:
    problem = problem_of(send(demo, "/api/tools/calculator", BROKEN[kind]), 422, "invalid-request")
    assert len(problem["detail"]) < 1000


@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run"])
@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_such_object_is_refused(demo: Service, path: str, kind: str) -> None:
    problem = problem_of(send(demo, path, BROKEN[kind]), 422, "invalid-request")
    assert len(problem["detail"]) < 1000
    json.dumps(problem, ensure_ascii=False).encode()


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" + "0" * 4000, "0.0", "-0.0"])
def test_a_number_beyond_all_bounds_is_refused(demo: Service, number: str) -> None:
    for field in ("max_iterations", "max_cost_usd"):
        body = f'{{"query":"hi","{field}":{number}}}'
        assert fields_of(problem_of(send(demo, "/agent/run", body), 422, "invalid-request")) == [field]


@pytest.mark.parametrize(
    "value", ["NaN", "Infinity", "1e999", "1" + "0" * 5000, "[" * 150 + "]" * 150, '{"a":' * 150 + "1" + "}" * 150]
)
def test_odd_arguments_of_a_tool_are_its_errors(demo: Service, value: str) -> None:
    response = send(demo, "/api/tools/calculator", f'{{"expression":{value}}}')
    assert response.status_code in (200, 422)
    if response.status_code == 200:
        assert response.json()["success"] is False


def test_of_two_values_for_a_key_the_last_counts(demo: Service) -> None:
    response = send(demo, "/chat", b'{"message":"first","message":"second"}')
    assert response.status_code == 200
    assert "second" in response.json()["answer"]


@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        "text/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/xml",
        "application/jsonx",
        "application/json, text/plain",
        "json",
        "",
        "*/*",
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run", "/api/tools/calculator"])
def test_another_content_type_is_refused(demo: Service, path: str, content_type: str) -> None:
    response = send(demo, path, b'{"message":"hi"}', Content_Type=content_type)
    assert "application/json" in problem_of(response, 415, "unsupported-media-type")["detail"]


def test_a_missing_content_type_is_refused(demo: Service) -> None:
    problem_of(demo.client.post("/chat", content=b'{"message":"hi"}'), 415, "unsupported-media-type")


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "Application/JSON;charset=UTF-8",
        'application/json; charset="utf-8"',
        "application/json; charset=us-ascii; profile=x",
        "application/ld+json",
    ],
)
def test_json_under_each_of_its_names_is_taken(demo: Service, content_type: str) -> None:
    assert send(demo, "/chat", b'{"message":"hi"}', Content_Type=content_type).status_code == 200


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "br", "deflate", "zstd", "identity, gzip", "x-unheard-of"])
@pytest.mark.parametrize("path", ["/chat", "/chat/stream", "/agent/run", "/api/tools/calculator"])
def test_a_compressed_body_is_refused_as_what_it_is(demo: Service, path: str, encoding: str) -> None:
    response = send(demo, path, gzip.compress(b'{"message":"hi"}'), Content_Encoding=encoding)
    problem = problem_of(response, 415, "unsupported-media-type")
    assert "Content-Encoding" in problem["detail"]
    assert "JSON" not in problem["detail"]
    assert response.headers["accept-encoding"] == "identity"


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_as_it_is_may_say_so(demo: Service, encoding: str) -> None:
    assert send(demo, "/chat", b'{"message":"hi"}', Content_Encoding=encoding).status_code == 200


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "ISO-8859-15", '"utf-16"'])
def test_another_charset_is_refused(demo: Service, charset: str) -> None:
    response = send(demo, "/chat", b'{"message":"hi"}', Content_Type=f"application/json; charset={charset}")
    assert "UTF-8" in problem_of(response, 415, "unsupported-media-type")["detail"]


@pytest.mark.parametrize(
    ("path", "endpoint"),
    [("/chat", "/chat"), ("/agent/run", "/agent/run"), ("/api/tools/calculator", "/api/tools/{name}")],
)
def test_what_is_refused_unread_is_counted_where_it_was_meant_to_go(demo: Service, path: str, endpoint: str) -> None:
    def counted(status: int) -> float:
        series = f'agent_requests_total{{endpoint="{endpoint}",method="POST",outcome="",status="{status}"}}'
        return demo.metrics().get(series, 0)

    before = counted(413), counted(415)
    assert send(demo, path, b" " * 1_100_000).status_code == 413
    assert send(demo, path, iter([b" " * 1_100_000])).status_code == 413
    assert send(demo, path, b"hi", Content_Type="text/plain").status_code == 415
    assert send(demo, path, b"hi", Content_Encoding="gzip").status_code == 415
    assert (counted(413), counted(415)) == (before[0] + 2, before[1] + 2)


def test_what_was_sent_is_not_repeated(demo: Service) -> None:
    secret = "sk-my-secret"
    for body in (
        {"message": [secret]},
        {"message": "hi", "stream": secret},
        {"message": "hi", "session_id": secret + "!"},
    ):
        assert secret not in demo.ask("POST", "/chat", body).text
