"""`python -m app worker`: works on what the API took, is probed beside its metrics, and leaves like the API."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import redis_server
from tests.redis_server import RedisServer
from tests.service import END_SECONDS, START_SECONDS, Service, environment, run_to_end


class WorkerProcess:
    """A running worker, on a port that it chose itself."""

    def __init__(self, folder: Path, **settings: object) -> None:
        folder.mkdir()
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "worker"],
                cwd=folder,
                env=environment(**{"metrics_port": 0, **settings}),
                stdout=stdout,
                stderr=stderr,
            )
        self.url = f"http://127.0.0.1:{self.wait_for_event('worker.start', START_SECONDS)['metrics_port']}"

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False)

    def log(self, event: str) -> list[dict[str, Any]]:
        lines = map(json.loads, self._stdout.read_text().split("\n")[:-1])
        return [line for line in lines if line["event"] == event]

    def wait_for_event(self, event: str, seconds: float = 20.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not (found := self.log(event)):
            assert self.process.poll() is None, self._stderr.read_text()
            assert time.monotonic() < end, self._stdout.read_text()
            time.sleep(0.01)
        return found[0]

    def end(self, number: int = signal.SIGTERM) -> int:
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            status = self.process.wait(END_SECONDS)
        finally:
            self.process.kill()
        assert not self._stderr.read_text()
        return status


Work = Callable[..., WorkerProcess]


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
    started = WorkerProcess(tmp_path_factory.mktemp("workers") / "one", redis_url=store.url)
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
    api = Service(tmp_path / "api", redis_url=store.url, workers=0)
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
    leaving = WorkerProcess(tmp_path / "leaving", redis_url=store.url)
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
    status, out, err = run_to_end(tmp_path, command=("worker",), **settings)
    assert status == 2
    assert said in err
    assert "Traceback" not in err
    assert '"event":"worker.start"' not in out
