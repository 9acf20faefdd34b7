"""`python -m app worker`: works on what the API took, is probed beside its metrics, and leaves like the API."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import redis_server
from tests.redis_server import RedisServer
from tests.service import Service, run_to_end
from tests.worker_process import WorkerProcess


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    if redis_server.BINARY is None:
        pytest.skip(redis_server.MISSING)
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def worker(store: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerProcess]:
    started = WorkerProcess(tmp_path_factory.mktemp("workers") / "one", fresh=True, redis_url=store.url)
    yield started
    assert started.end() == 0


def test_it_is_probed_beside_its_metrics(worker: WorkerProcess) -> None:
    live, ready, metrics = (worker.get(path) for path in ("/live", "/ready", "/metrics"))
    assert (live.status_code, live.json()) == (200, {"status": "alive"})
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})
    assert "agent_run_queue_age_seconds" in metrics.text
    assert httpx.post(f"{worker.url}/ready", trust_env=False).status_code == 405


def test_it_works_on_what_an_api_without_workers_took(
    worker: WorkerProcess, store: RedisServer, tmp_path: Path
) -> None:
    api = Service(tmp_path / "api", fresh=True, redis_url=store.url, workers=0)
    created = api.client.post("/runs", json={"message": "What is 6 * 7?"})
    assert created.status_code == 202
    end = time.monotonic() + 20
    while (run := api.client.get(created.headers["location"]).json())["status"] != "succeeded":
        assert time.monotonic() < end, run
        time.sleep(0.02)
    assert "42" in run["answer"]["answer"]
    assert worker.log("agent.request.success")
    api.end()


def test_it_leaves_with_0_when_it_is_told_to(store: RedisServer, tmp_path: Path) -> None:
    leaving = WorkerProcess(tmp_path / "leaving", fresh=True, redis_url=store.url)
    assert leaving.get("/live").status_code == 200
    started = time.monotonic()
    assert leaving.end() == 0
    assert time.monotonic() - started < 10
    assert [bool(leaving.log(event)) for event in ("drain.start", "drain.end", "worker.failed")] == [True, True, False]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({}, "REDIS_URL: is not set"),
        ({"redis_url": "redis://127.0.0.1:1", "workers": 0}, "WORKERS: is 0"),
        ({"redis_url": "redis://127.0.0.1:1", "run_queue_url": "postgresql://h:x/d"}, "RUN_QUEUE_URL: "),
        ({"workers": "many"}, "WORKERS: "),
    ],
)
def test_what_cannot_be_used_stops_the_start_with_its_name(tmp_path: Path, settings: dict[str, Any], said: str) -> None:
    status, out, err = run_to_end(tmp_path, command=("worker",), fresh=True, **settings)
    assert status == 2
    assert said in err
    assert "Traceback" not in err
    assert '"event":"worker.start"' not in out
