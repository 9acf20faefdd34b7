"""The port of the metrics: `GET` and `HEAD`, in the format that is asked for, until the process is gone."""

import time

import httpx
import pytest

from tests.api.raw import connected
from tests.attacks.stage import read_to_end
from tests.conftest import Serve
from tests.service import Service


@pytest.mark.parametrize("path", ["/metrics", "/", "/metrics?name[]=x"])
def test_head_is_answered_like_get_without_the_body(demo: Service, path: str) -> None:
    url = f"http://127.0.0.1:{demo.metrics_port}{path}"
    got, head = httpx.get(url, trust_env=False), httpx.head(url, trust_env=False)
    assert (got.status_code, head.status_code, head.content) == (200, 200, b"")
    assert "agent_requests_total" in got.text
    assert head.headers["content-type"] == got.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert int(head.headers["content-length"]) > 1000


def test_openmetrics_are_served_to_who_asks_for_them(demo: Service) -> None:
    answer = httpx.get(demo.metrics_url, headers={"Accept": "application/openmetrics-text"}, trust_env=False)
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert answer.text.endswith("# EOF\n")


def test_other_methods_are_405(demo: Service) -> None:
    answer = httpx.post(demo.metrics_url, json={}, trust_env=False)
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_what_is_malformed_there_is_not_counted_as_a_request(demo: Service) -> None:
    series = 'agent_requests_total{endpoint="none",method="other",outcome="",status="400"}'
    before = demo.metrics().get(series, 0)
    with connected(demo.metrics_port) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert read_to_end(connection).startswith(b"HTTP/1.1 400 ")
    assert demo.metrics().get(series, 0) == before


def test_metrics_are_served_while_the_process_drains(serve: Serve) -> None:
    service = serve()
    with connected(service.metrics_port):  # which keeps nothing
        service.signal()
        service.wait_for_event("drain.start")
        assert "agent_active_requests" in service.metrics()
        started = time.monotonic()
        assert service.wait() == 0
        assert time.monotonic() - started < 10
