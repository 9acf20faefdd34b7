"""Services as forks of one process that has loaded their code: see tests/nursery.py."""

import atexit
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from threading import RLock
from typing import Any

_SLICE_SECONDS = 0.02


class Nursery:
    """The process that forks, as this one knows it. It ends with this one."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._lock = RLock()
        self._unread = b""
        self._started: list[int] = []
        self._statuses: dict[int, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.nursery"],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        atexit.register(self._end)

    def start(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdout: Path, stderr: Path
    ) -> "Fork":
        """A process that runs the app with these arguments, in a folder and an environment of its own."""
        for output in (stdout, stderr):
            output.write_bytes(b"")
        asked = {
            "arguments": [*arguments],
            "folder": str(folder.absolute()),
            "environment": {**environment},
            "stdout": str(stdout.absolute()),
            "stderr": str(stderr.absolute()),
        }
        line = memoryview(json.dumps(asked).encode() + b"\n")
        with self._lock:
            while line:
                line = line[self._write(line) :]
            while not self._started:
                self._read(60)
            return Fork(self, self._started.pop())

    def status(self, pid: int, seconds: float) -> int | None:
        """The exit status of a process that has ended, or ends within `seconds`."""
        end = time.monotonic() + seconds
        while True:
            with self._lock:  # held for a moment only: other threads wait for other processes
                if pid not in self._statuses:
                    self._read(min(max(end - time.monotonic(), 0), _SLICE_SECONDS))
                if pid in self._statuses:
                    return self._statuses[pid]
            if time.monotonic() >= end:
                return None

    def _write(self, line: memoryview) -> int:
        assert self._process.stdin
        return os.write(self._process.stdin.fileno(), line)

    def _read(self, seconds: float) -> None:
        assert self._process.stdout
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            return
        read = os.read(self._process.stdout.fileno(), 65536)
        assert read, "the process that starts services has ended"
        *lines, self._unread = (self._unread + read).split(b"\n")
        for message in map(json.loads, lines):
            if "started" in message:
                self._started.append(message["started"])
                self._statuses.pop(message["started"], None)
            else:
                self._statuses[message["ended"]] = message["status"]

    def _end(self) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe
            pipe.close()
        self._process.wait()


class Fork:
    """A process started by the nursery, with the methods of `subprocess.Popen` that tests use."""

    def __init__(self, nursery: Nursery, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._nursery = nursery

    def poll(self) -> int | None:
        return self._ended_within(0)

    def wait(self, timeout: float | None = None) -> int:
        seconds = float("inf") if timeout is None else timeout
        if (status := self._ended_within(seconds)) is None:
            raise subprocess.TimeoutExpired("app", seconds)
        return status

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(9)

    def _ended_within(self, seconds: float) -> int | None:
        if self.returncode is None:
            self.returncode = self._nursery.status(self.pid, seconds)
        return self.returncode


Process = subprocess.Popen[Any] | Fork
