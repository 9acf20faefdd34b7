"""The service as people run it: `python -m app` in a process of its own, with an environment of its own.

Most are forks of a process that has loaded their code (tests/forks.py): a start costs a third of what it did. One is an
interpreter of its own where loading is part of the question: on request, or if a setting could change what is loaded.
"""

import functools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.forks import Nursery, Process

REPOSITORY = Path(__file__).parent.parent
READ_WHILE_LOADING = ("python", "ssl_", "otel_", "prometheus_")
"""Beginnings of the variables that the interpreter, or a library while it is imported, may read."""
START_SECONDS = 60.0
END_SECONDS = 40.0


def environment(**settings: object) -> dict[str, str]:
    """Nothing of the tester's own settings but what measures coverage, then the given ones, in upper case.

    `pythonpath` goes before the repository's."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME") or name.startswith("COV")}
    given = {name.upper(): str(value) for name, value in settings.items()}
    paths = [path for path in (given.pop("PYTHONPATH", ""), str(REPOSITORY)) if path]
    return {**kept, "PYTHONPATH": os.pathsep.join(paths), "PYTHONWARNINGS": "error", **given}


@functools.cache
def _nursery() -> Nursery:
    return Nursery(REPOSITORY, environment())


def start_app(
    folder: Path, *arguments: str, stdout: Path, stderr: Path, fresh: object = False, **settings: object
) -> Process:
    """`python -m app` with these arguments; an interpreter of its own if it is to be `fresh`."""
    if not fresh and not any(name.lower().startswith(READ_WHILE_LOADING) for name in settings):
        return _nursery().start(arguments, folder, environment(**settings), stdout, stderr)
    with stdout.open("wb") as out, stderr.open("wb") as err:
        return subprocess.Popen(
            [sys.executable, "-m", "app", *arguments],
            cwd=folder,
            env=environment(**settings),
            stdout=out,
            stderr=err,
        )


def run_to_end(
    folder: Path,
    *,
    timeout: float = START_SECONDS,
    command: Sequence[str] = (),
    fresh: object = False,
    **settings: object,
) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a service that is expected not to start."""
    with TemporaryDirectory() as outputs:
        stdout, stderr = Path(outputs, "stdout"), Path(outputs, "stderr")
        given = {"port": 0, "metrics_port": 0, **settings}
        process = start_app(folder, *command, stdout=stdout, stderr=stderr, fresh=fresh, **given)
        try:
            status = process.wait(timeout)
        finally:
            process.kill()
        return status, stdout.read_text(), stderr.read_text()


class Service:
    """A running service, on ports that it chose itself. `client` asks it; `log()` is what it said so far."""

    def __init__(self, folder: Path, *, fresh: object = False, **settings: object) -> None:
        self.may_log_errors = False
        """Set by a test that makes the service fail."""
        folder.mkdir(parents=True, exist_ok=True)
        self._stdout = folder / "stdout"
        self._stderr = folder / "stderr"
        self._ended = False
        given = {"port": 0, "metrics_port": 0, **settings}
        self.process = start_app(folder, stdout=self._stdout, stderr=self._stderr, fresh=fresh, **given)
        try:
            start = self.wait_for_event("start", START_SECONDS)
            self.port: int = start["port"]
            self.url = f"http://127.0.0.1:{self.port}"
            self.metrics_port: int = start["metrics_port"]
            self.metrics_url = f"http://127.0.0.1:{self.metrics_port}/metrics"
            self.client = self.new_client()
            self._wait_until_ready()
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def _wait_until_ready(self) -> None:
        end = time.monotonic() + START_SECONDS
        while self.client.get("/ready").status_code != 200:
            assert time.monotonic() < end, "not ready"
            time.sleep(0.02)

    def new_client(self, **options: Any) -> httpx.Client:
        """Another client with connections of its own. It reads no authorities, which takes longer than most tests."""
        return httpx.Client(**{"base_url": self.url, "timeout": 30, "trust_env": False, "verify": False, **options})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
        """`body` is sent as JSON; header names are given with underscores."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.request(method, path, json=body, headers=named)

    def chat(self, message: str, **fields: Any) -> httpx.Response:
        return self.client.post("/chat", json={"message": message, **fields})

    def metrics(self) -> dict[str, float]:
        """Every series by its name and labels, as the exposition has it."""
        lines = self.client.get(self.metrics_url).text.splitlines()
        pairs = (line.rpartition(" ") for line in lines if not line.startswith("#"))
        return {name: float(value) for name, _, value in pairs}

    def raw_log(self) -> str:
        return self._stdout.read_text()

    def stderr(self) -> str:
        return self._stderr.read_text()

    def log(self, event: str | None = None, **fields: object) -> list[dict[str, Any]]:
        """The lines written so far, those of an event and with certain values if asked for."""
        lines = [json.loads(line) for line in self.raw_log().split("\n")[:-1]]
        return [
            line
            for line in lines
            if event in (None, line["event"]) and all(line.get(name) == value for name, value in fields.items())
        ]

    def wait_for_event(self, event: str, seconds: float = 10.0, **fields: object) -> dict[str, Any]:
        """The first log line of the event, as soon as it is written."""
        end = time.monotonic() + seconds
        while not (found := self.log(event, **fields)):
            said = f"{self.raw_log()}\n{self.stderr()}"
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{said}"
            assert time.monotonic() < end, f"no {event!r} {fields} within {seconds} s:\n{said}"
            time.sleep(0.01)
        return found[0]

    def signal(self, number: int = signal.SIGTERM) -> None:
        self.process.send_signal(number)

    def wait(self, seconds: float = END_SECONDS) -> int:
        """The exit status."""
        return self.process.wait(seconds)

    def _leave_without_drain(self) -> None:
        """How a drain waits is the question of tests/process; elsewhere it would take a second of every test."""
        if self.process.poll() is None:
            self.signal()
        while self.process.poll() is None and '"drain.start"' not in self.raw_log():
            time.sleep(0.01)
        if self.process.poll() is None:
            self.signal(signal.SIGINT)

    def kill(self) -> None:
        """With -9: it says nothing, and nothing is asked of it."""
        self._ended = True
        self.client.close()
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Stop the service, which has to leave with 0, and look at what it has to say."""
        if self._ended:
            return
        self._ended = True
        self.client.close()
        self._leave_without_drain()
        try:
            status = self.wait()
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise
        assert status == 0, self.stderr()
        assert not self.stderr(), self.stderr()
        errors = self.log(level="error")
        assert self.may_log_errors or not errors, errors


def problem_of(response: httpx.Response, status: int, kind: str) -> Mapping[str, Any]:
    """The problem document of an answer, after a look at all that every one of them has."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = response.json()
    assert body["type"] == f"urn:agent-api:problem:{kind}", body
    assert body["status"] == status
    assert body["title"]
    assert body["detail"]
    assert body["instance"] == response.request.url.path
    assert body["request_id"] == response.headers["x-request-id"]
    assert "Traceback" not in response.text
    return body
