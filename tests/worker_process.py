"""A worker as people run it: `python -m app worker` in a process of its own, with an environment of its own."""

import json
import time
from functools import cached_property
from pathlib import Path
from signal import SIGTERM
from typing import Any

import httpx

from tests.service import END_SECONDS, START_SECONDS, start_app


class WorkerProcess:
    """A worker that starts, on a port that it chooses itself."""

    def __init__(self, folder: Path, *, fresh: object = False, **settings: object) -> None:
        folder.mkdir(parents=True)
        self._stdout, self._stderr = folder / "stdout", folder / "stderr"
        given = {"metrics_port": 0, **settings}
        self.process = start_app(folder, "worker", stdout=self._stdout, stderr=self._stderr, fresh=fresh, **given)

    @cached_property
    def url(self) -> str:
        """Of its probes and metrics, as soon as it has started."""
        return f"http://127.0.0.1:{self.wait_for_event('worker.start', START_SECONDS)['metrics_port']}"

    @property
    def ready(self) -> bool:
        return bool(self.log("worker.start"))

    def get(self, path: str) -> httpx.Response:
        return httpx.get(f"{self.url}{path}", trust_env=False)

    def log(self, *events: str) -> list[dict[str, Any]]:
        """The lines of these events so far."""
        lines = map(json.loads, self._stdout.read_text().split("\n")[:-1])
        return [line for line in lines if line["event"] in events]

    def wait_for_event(self, event: str, seconds: float = 20.0) -> dict[str, Any]:
        end = time.monotonic() + seconds
        while not (found := self.log(event)):
            assert self.process.poll() is None, self._stderr.read_text()
            assert time.monotonic() < end, self._stdout.read_text()
            time.sleep(0.01)
        return found[0]

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        """With -9."""
        self.process.kill()
        self.process.wait()

    def end(self, number: int = SIGTERM) -> int:
        """The exit status. It has nothing to say on stderr."""
        if self.process.poll() is None:
            self.signal(number)
        try:
            status = self.process.wait(END_SECONDS)
        finally:
            self.process.kill()
        assert not self._stderr.read_text()
        return status
