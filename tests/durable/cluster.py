"""A service that works on no runs, and workers in processes of their own, over one real store."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

from tests.durable.deeds import MODEL, Ledger, act, install_tools
from tests.redis_server import RedisServer
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of, settings_of
from tests.service import END_SECONDS, Service, environment

_RESUMED = "agent.request.resumed"


class WorkerProcess:
    """`python -m app worker`; what it says goes to a file."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        folder.mkdir(parents=True)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        with self._stdout.open("wb") as stdout, self._stderr.open("wb") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "app", "worker"],
                cwd=folder,
                env=environment(**{"metrics_port": 0, **settings}),
                stdout=stdout,
                stderr=stderr,
            )

    @property
    def pid(self) -> int:
        return self.process.pid

    def log(self, event: str | None = None) -> Sequence[Mapping[str, Any]]:
        lines = [json.loads(line) for line in self._stdout.read_text().split("\n")[:-1]]
        return [line for line in lines if event in (None, line["event"])]

    @property
    def ready(self) -> bool:
        return bool(self.log("worker.start"))

    def runs(self) -> Set[str]:
        """Those that it has begun or resumed, as far as its log tells; lines are written a little later."""
        return {line["run_id"] for line in self.log() if line["event"] in ("agent.request.start", _RESUMED)}

    def stderr(self) -> str:
        return self._stderr.read_text()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)


class Cluster:
    """Ends with its processes; a worker that was killed is not missed."""

    def __init__(
        self, folder: Path, redis_url: str, provider: Provider, *, workers: int, at_once: int, **settings: Any
    ) -> None:
        self._folder = folder
        given: Mapping[str, Any] = {"redis_url": redis_url, "workers": at_once, **settings}
        self._settings = settings_of(provider, (MODEL,), **given)
        self._started = 0
        self.api: Service = service_of(folder / "api", provider, (MODEL,), **{**given, "workers": 0})
        self.workers: list[WorkerProcess] = []
        for _ in range(workers):
            self.start_worker()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        for worker in self.workers:
            worker.signal(signal.SIGCONT)
            worker.signal(signal.SIGTERM)
        for worker in self.workers:
            try:
                worker.process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
        self.api.end()

    def start_worker(self) -> None:
        self._started += 1
        self.workers.append(WorkerProcess(self._folder / f"worker-{self._started}", self._settings))

    def kill(self, worker: WorkerProcess, *, replace: bool = True) -> float:
        """With -9; as Kubernetes would, start another in its place. Returns when, in time.monotonic()."""
        self.workers.remove(worker)
        worker.kill()
        at = time.monotonic()
        if replace:
            self.start_worker()
        return at

    def worker_of(self, pid: int) -> WorkerProcess:
        """The one with this process id."""
        return next(worker for worker in self.workers if worker.pid == pid)

    def wait_until_working(self, count: int, seconds: float = 60) -> None:
        """Until so many workers have said that they started."""
        end = time.monotonic() + seconds
        while sum(worker.ready for worker in self.workers) < count:
            assert time.monotonic() < end, [worker.stderr() for worker in self.workers]
            time.sleep(0.05)


@contextmanager
def cluster(folder: Path, *, tool_seconds: float, **options: Any) -> Iterator[tuple[Cluster, Ledger]]:
    """With a store that keeps what it is told, a model and tools of its own; and the account of what the tools did."""
    folder.mkdir(parents=True, exist_ok=True)
    store = RedisServer(folder, "--appendonly", "yes")
    store.start()
    try:
        with Provider() as provider:
            provider.does(MODEL, act)
            tools = install_tools(folder / "tools", folder / "ledger", tool_seconds)
            with Cluster(folder, store.url, provider, pythonpath=tools, **options) as started:
                yield started, Ledger(folder / "ledger")
    finally:
        store.stop()
