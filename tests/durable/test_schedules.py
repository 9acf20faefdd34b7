"""Runs and batches with `start_at`, on processes that share a store: the one that has taken them in may die before."""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests import redis_server as redis
from tests.conftest import Serve
from tests.redis_server import RedisServer
from tests.service import Service

pytestmark = pytest.mark.skipif(not redis.BINARY, reason=redis.MISSING)

LATE = timedelta(seconds=2)


def wait_until_over(service: Service, path: str) -> dict[str, Any]:
    end = time.monotonic() + 30
    while True:
        shown: dict[str, Any] = service.client.get(path).json()
        if shown["ended_at"] is not None:
            return shown
        assert time.monotonic() < end, shown
        time.sleep(0.05)


def lateness(shown: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(shown["started_at"]) - datetime.fromisoformat(shown["start_at"])


def test_they_start_in_time_though_the_process_that_took_them_in_is_dead(
    serve: Serve, redis_server: RedisServer, tmp_path: Path
) -> None:
    redis_server.ask("FLUSHALL")
    heir = serve(redis_url=redis_server.url)
    doomed = Service(tmp_path / "doomed", redis_url=redis_server.url)
    start = datetime.now(UTC) + timedelta(seconds=2.5)
    runs, batches = [], []
    for service in (doomed, heir):
        made = service.client.post("/runs", json={"query": "6 * 7?", "start_at": start.isoformat()})
        runs.append(made.json()["links"]["self"])
        inputs = [{"custom_id": "a", "message": "6 * 7?"}]
        made = service.client.post("/batches", json={"inputs": inputs, "start_at": start.isoformat()})
        batches.append(made.json()["links"]["self"])
    for path in (*runs, *batches):
        shown = heir.client.get(path).json()
        assert (shown["status"], shown["started_at"]) == ("queued", None)
        assert datetime.fromisoformat(shown["start_at"]) - start < timedelta(milliseconds=2)
    listed = heir.client.get("/runs?status=queued").json()["runs"]
    assert {(run["links"]["self"], run["start_at"] is not None) for run in listed} == {(run, True) for run in runs}
    doomed.process.kill()
    doomed.process.wait()
    doomed.client.close()
    for path in runs:
        run = wait_until_over(heir, path)
        assert run["status"] == "succeeded"
        assert timedelta(0) <= lateness(run) < LATE
    for path in batches:
        batch = wait_until_over(heir, path)
        assert (batch["status"], batch["counts"]["succeeded"]) == ("ended", 1)
        assert timedelta(0) <= lateness(batch) < LATE


def test_what_is_cancelled_before_its_time_never_starts(serve: Serve) -> None:
    service = serve()
    start = (datetime.now(UTC) + timedelta(seconds=1)).isoformat()
    run = service.client.post("/runs", json={"query": "x", "start_at": start}).json()["links"]["self"]
    inputs = [{"custom_id": "a", "message": "x"}]
    batch = service.client.post("/batches", json={"inputs": inputs, "start_at": start}).json()["links"]["self"]
    for path in (run, batch):
        assert service.client.post(f"{path}/cancel").json()["status"] == "cancelled"
    time.sleep(1.6)
    for path in (run, batch):
        shown = service.client.get(path).json()
        assert (shown["status"], shown["started_at"]) == ("cancelled", None)
