"""What every answer says about itself: `X-Request-Id`, `X-Trace-Id`, `X-Request-Latency`."""

import re
from uuid import UUID

import pytest

from tests.conftest import Serve
from tests.service import Service

PATHS = [("GET", "/live"), ("GET", "/api/tools"), ("GET", "/nowhere"), ("DELETE", "/chat"), ("GET", "/sessions/none")]
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_every_answer_has_its_ids_and_its_latency(demo: Service, method: str, path: str) -> None:
    headers = demo.ask(method, path).headers
    assert UUID(headers["x-request-id"]).version == 4
    assert re.fullmatch(r"[0-9a-f]{32}", headers["x-trace-id"])
    assert 0 <= float(headers["x-request-latency"]) < 60_000


def test_two_answers_have_two_ids(demo: Service) -> None:
    first, second = (demo.ask("GET", "/live").headers for _ in range(2))
    assert first["x-request-id"] != second["x-request-id"]
    assert first["x-trace-id"] != second["x-trace-id"]


@pytest.mark.parametrize("given", ["a", "0b760e8f-49b7-4178-84d5-e11a4affdd0b", "A.b_c:d-9", "x" * 128])
def test_a_sane_request_id_is_taken(demo: Service, given: str) -> None:
    response = demo.client.post("/chat", json={"message": "hi"}, headers={"X-Request-Id": given})
    assert response.headers["x-request-id"] == given
    assert response.json()["request_id"] == given
    assert demo.wait_for_event("request", request_id=given)["status"] == 200


@pytest.mark.parametrize("given", ["", "x" * 129, "a b", "a\tb", "<script>", "é", '"', "a,b", "../etc"])
def test_another_request_id_is_replaced(demo: Service, given: str) -> None:
    headers = demo.client.get("/live", headers={b"X-Request-Id": given.encode()}).headers
    assert UUID(headers["x-request-id"]).version == 4


def test_the_trace_id_is_that_of_a_trusted_proxys_traceparent(serve: Serve, demo: Service) -> None:
    parent = f"00-{TRACE_ID}-00f067aa0ba902b7-01"
    for service, believed in ((serve(trusted_proxies="127.0.0.1"), True), (demo, False)):
        response = service.client.post("/chat", json={"message": "hi"}, headers={"traceparent": parent})
        assert (response.headers["x-trace-id"] == TRACE_ID) is believed
        assert response.json()["trace_id"] == response.headers["x-trace-id"]


@pytest.mark.parametrize(
    "given",
    ["", "nonsense", f"00-{'0' * 32}-00f067aa0ba902b7-01", f"ff-{TRACE_ID}-00f067aa0ba902b7-01", f"00-{TRACE_ID}", "é"],
)
def test_another_traceparent_is_ignored(demo: Service, given: str) -> None:
    response = demo.client.get("/live", headers={b"traceparent": given.encode()})
    assert response.status_code == 200
    assert response.headers["x-trace-id"] not in (TRACE_ID, "0" * 32)


def test_an_answer_has_the_ids_of_its_headers(demo: Service) -> None:
    response = demo.chat("hi")
    assert response.json()["request_id"] == response.headers["x-request-id"]
    assert response.json()["trace_id"] == response.headers["x-trace-id"]


def test_a_stream_has_ids_but_no_latency(demo: Service) -> None:
    headers = demo.client.post("/chat/stream", json={"message": "hi"}).headers
    assert {"x-request-id", "x-trace-id"} <= headers.keys()
    assert "x-request-latency" not in headers


@pytest.mark.parametrize(("method", "path"), PATHS)
def test_an_answer_tells_nothing_about_its_server(demo: Service, method: str, path: str) -> None:
    headers = demo.ask(method, path).headers
    assert "server" not in headers
    assert "x-powered-by" not in headers
