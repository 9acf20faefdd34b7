"""Child processes of the benchmark: pinned, read from /proc, and ended whatever happens."""

import ctypes
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path

TICK_SECONDS = 1 / os.sysconf("SC_CLK_TCK")
_PR_SET_PDEATHSIG = 1
_LIBC = ctypes.CDLL(None, use_errno=True)

ROOT = Path(__file__).resolve().parent.parent
SERVER_CPU = min(os.sched_getaffinity(0))
OTHER_CPUS = frozenset(os.sched_getaffinity(0)) - {SERVER_CPU} or frozenset({SERVER_CPU})


class Child:
    """A running child process; its output goes to `log`, if there is one."""

    def __init__(
        self,
        name: str,
        argv: Sequence[str | Path],
        *,
        cpus: frozenset[int] = OTHER_CPUS,
        env: Mapping[str, str] | None = None,
        cwd: Path = ROOT,
        stdin: int = subprocess.DEVNULL,
        stdout: int | None = None,
        log: Path | None = None,
    ) -> None:
        def prepare() -> None:
            _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
            os.sched_setaffinity(0, cpus)

        self.name = name
        self.log = log
        sink = log.open("wb") if log else None
        self.popen = subprocess.Popen(
            [str(part) for part in argv],
            cwd=cwd,
            env=None if env is None else dict(env),
            stdin=stdin,
            stdout=sink or stdout,
            stderr=subprocess.STDOUT if sink else None,
            preexec_fn=prepare,
            start_new_session=True,
        )
        if sink:
            sink.close()

    @property
    def pid(self) -> int:
        return self.popen.pid

    def last_words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-2000:] if self.log else ""

    def pause(self) -> None:
        """Takes it off its core, so that the server measured next is alone there."""
        self.popen.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        self.popen.send_signal(signal.SIGCONT)

    def stop(self, seconds: float = 30) -> int:
        """Ends it, by force after `seconds`; returns its exit code."""
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGCONT)
            self.popen.terminate()
        try:
            return self.popen.wait(seconds)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            return self.popen.wait()

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of `pid` so far, from /proc/PID/stat; 10 ms fine."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_SECONDS


def resident_bytes(pid: int) -> int:
    """Resident memory of `pid` now, from /proc/PID/status."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    return 0


def free_port() -> int:
    """A loopback port nobody listens on at the moment."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(child: Child, url: str, seconds: float) -> None:
    """Returns when `url` answers 200; raises RuntimeError when the process ends or the time is up."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (code := child.popen.poll()) is not None:
            raise RuntimeError(f"{child.name} ended with exit code {code}: {child.last_words()}")
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                if answer.status == 200:
                    return
        except (urllib.error.URLError, OSError):
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{child.name} did not answer {url} within {seconds:.0f} s: {child.last_words()}")
