"""`/live`, `/ready`, `/health`, and what else has no caller."""

import re

import pytest

from app import __version__
from tests.service import Service, problem_of


def test_live_and_ready_say_so_and_nothing_else(demo: Service) -> None:
    for path, status in (("/live", "alive"), ("/ready", "ready")):
        response = demo.ask("GET", path)
        assert (response.status_code, response.json()) == (200, {"status": status})
        assert response.headers["content-type"] == "application/json"


def test_health_tells_the_version_the_age_and_what_the_service_depends_on(demo: Service) -> None:
    demo.wait_for_event("dependency", dependency="demo", status="up")
    response = demo.ask("GET", "/health")
    body = response.json()
    assert response.status_code == 200
    assert body.keys() == {"status", "version", "uptime_seconds", "checks", "guards"}
    assert body["status"] == "ok"
    assert body["version"] == __version__
    assert 0 < body["uptime_seconds"] < 3600
    assert body["checks"].keys() == {"api", "redis", "models", "runs"}
    assert body["checks"]["api"] == "ok"
    assert body["checks"]["redis"] == body["checks"]["runs"] == "in-process"
    model = body["checks"]["models"]["demo"]
    assert model.keys() == {"status", "last_ok_seconds", "reason", "breaker", "resting"}
    assert model["status"] == "up"
    assert model["last_ok_seconds"] >= 0
    assert model["reason"] is None
    assert model["resting"] is None


def test_metrics_are_never_on_the_public_port(demo: Service) -> None:
    problem_of(demo.ask("GET", "/metrics"), 404, "not-found")


def test_the_port_of_the_metrics_answers_nothing_else(demo: Service) -> None:
    response = demo.client.post(demo.metrics_url.replace("/metrics", "/chat"), json={"message": "hi"})
    assert "session_id" not in response.text


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
def test_the_documentation_is_there(demo: Service, path: str) -> None:
    response = demo.ask("GET", path)
    assert response.status_code == 200
    assert re.search("agent-api", response.text)


def test_probes_are_neither_logged_nor_counted(demo: Service) -> None:
    for path in ("/live", "/ready", "/health"):
        request_id = f"probe-{path[1:]}"
        demo.ask("GET", path, x_request_id=request_id)
        assert not demo.log("request", path=path)
    assert not [name for name in demo.metrics() if 'endpoint="/live"' in name]
