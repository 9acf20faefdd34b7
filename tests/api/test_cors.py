"""CORS: which pages of other origins may call, from the settings."""

from collections.abc import Iterator

import httpx
import pytest

from tests.service import Service, problem_of

ORIGIN = "https://chat.example"


@pytest.fixture(scope="module")
def open_to_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("cors"), cors_origins=f"{ORIGIN}, https://other.example")
    yield service
    service.end()


def preflight(service: Service, origin: str = ORIGIN, method: str = "POST") -> httpx.Response:
    return service.ask(
        "OPTIONS",
        "/chat",
        Origin=origin,
        Access_Control_Request_Method=method,
        Access_Control_Request_Headers="authorization,content-type,x-request-id,traceparent",
    )


def test_a_page_of_the_origin_may_call(open_to_one: Service) -> None:
    response = preflight(open_to_one)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == ORIGIN
    assert {"POST", "GET", "DELETE"} <= {
        name.strip() for name in response.headers["access-control-allow-methods"].split(",")
    }
    assert "authorization" in response.headers["access-control-allow-headers"].lower()
    assert "access-control-allow-credentials" not in response.headers


def test_a_page_of_another_origin_may_not(open_to_one: Service) -> None:
    for origin in ("https://evil.example", "null", ORIGIN + ".evil.example", "http://chat.example"):
        response = preflight(open_to_one, origin)
        problem_of(response, 403, "forbidden")
        assert "access-control-allow-origin" not in response.headers
        assert "access-control-allow-origin" not in open_to_one.ask("GET", "/api/tools", Origin=origin).headers


def test_answers_and_errors_can_be_read_by_the_page(open_to_one: Service) -> None:
    answers = [
        open_to_one.ask("POST", "/chat", {"message": "hi"}, Origin=ORIGIN),
        open_to_one.ask("POST", "/chat/stream", {"message": "hi"}, Origin=ORIGIN),
        open_to_one.ask("POST", "/chat", {"message": ""}, Origin=ORIGIN),
        open_to_one.ask("GET", "/nowhere", Origin=ORIGIN),
        open_to_one.ask("PUT", "/chat", {}, Origin=ORIGIN),
        open_to_one.client.post("/chat", content=b"hi", headers={"Origin": ORIGIN}),
        open_to_one.client.post(
            "/chat", content=b" " * 2_000_000, headers={"Origin": ORIGIN, "Content-Type": "application/json"}
        ),
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 422, 404, 405, 415, 413]
    for answer in answers:
        assert answer.headers["access-control-allow-origin"] == ORIGIN
        assert "origin" in answer.headers["vary"].lower()
        exposed = {name.strip().lower() for name in answer.headers["access-control-expose-headers"].split(",")}
        assert {"x-request-id", "x-trace-id", "x-request-latency", "retry-after"} <= exposed


def test_preflights_have_their_ids_too(open_to_one: Service) -> None:
    assert {"x-request-id", "x-trace-id"} <= preflight(open_to_one).headers.keys()


def test_without_the_setting_no_page_may_call(demo: Service) -> None:
    problem_of(preflight(demo), 405, "method-not-allowed")
    assert "access-control-allow-origin" not in demo.ask("GET", "/api/tools", Origin=ORIGIN).headers
