"""A service that works on no runs, and workers in processes of their own, over one real store."""

import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Self

from tests.durable.deeds import MODEL, TOOLS, Ledger, act, install_tools
from tests.redis_server import RedisServer
from tests.resilience.provider import Provider
from tests.resilience.serving import service_of, settings_of
from tests.service import START_SECONDS
from tests.worker_process import WorkerProcess


class Cluster:
    """Ends with its processes; a worker that was killed is not missed."""

    def __init__(
        self, folder: Path, redis_url: str, provider: Provider, *, workers: int, at_once: int, **settings: Any
    ) -> None:
        self._folder, self.redis_url = folder, redis_url
        given: Mapping[str, Any] = {"redis_url": redis_url, "workers": at_once, **settings}
        self._settings = settings_of(provider, (MODEL,), **given)
        self._started = 0
        self._start_api = partial(service_of, folder / "api", provider, (MODEL,), **{**given, "workers": 0})
        self.api = self._start_api()
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
            worker.end()
        self.api.end()

    def restart_api(self) -> None:
        """Kill the service with -9, and start it again at the same port."""
        self.api.kill()
        self.api = self._start_api(port=self.api.port)

    def start_worker(self) -> None:
        self._started += 1
        self.workers.append(WorkerProcess(self._folder / f"worker-{self._started}", **self._settings))

    def kill(self, worker: WorkerProcess, *, replace: bool = True) -> float:
        """With -9; as Kubernetes would, start another in its place. Returns when, in time.monotonic()."""
        self.workers.remove(worker)
        worker.kill()
        at = time.monotonic()
        if replace:
            self.start_worker()
        return at

    def end(self, worker: WorkerProcess) -> float:
        """With SIGTERM, and another one in its place. Returns when it was told."""
        self.workers.remove(worker)
        worker.signal(signal.SIGTERM)
        at = time.monotonic()
        self.start_worker()
        assert worker.end() == 0
        return at

    def worker_of(self, pid: int) -> WorkerProcess:
        """The one with this process id."""
        return next(worker for worker in self.workers if worker.process.pid == pid)

    def wait_until_working(self) -> None:
        for worker in self.workers:
            worker.wait_for_event("worker.start", START_SECONDS)


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
            given = {"pythonpath": tools, "tools": ",".join((*TOOLS, "rest")), **options}
            with Cluster(folder, store.url, provider, **given) as started:
                yield started, Ledger(folder / "ledger")
    finally:
        store.stop()
