"""The process of one call: `python -I child.py`, started by process.py. It gives up what it can, and
then loads the tool.

Run as a file, since the service's own folder is not where `-I` looks for modules.
"""

import ctypes
import importlib
import json
import os
import resource
import signal
import sys
from typing import Any

MOST_PROCESSES = 4_096
"""Of this user, on this machine: what is left to stop a fork bomb with, where no control group does."""
MOST_FILES = 256
FILE_BYTES = 64 * 1024 * 1024
_SET_DEATH_SIGNAL, _SET_NO_NEW_PRIVILEGES = 1, 38  # of prctl


def main() -> None:
    source, sink = _take_pipes()
    start = json.loads(_receive(source))
    _confine(start["memory_bytes"], start["cpu_seconds"])
    sys.path[:] = start["path"]
    module = importlib.import_module(start["module"])
    from app.tools.isolation.work import answer  # after the limits, and by the path that the service has

    reply = answer(module, _receive(source))
    os.write(sink, len(reply).to_bytes(8, "big"))
    while reply:
        reply = reply[os.write(sink, reply) :]
    os.read(source, 1)  # the service ends this process, and whatever it has started, or is gone
    os._exit(0)


def _take_pipes() -> tuple[int, int]:
    """The service's ends, out of the reach of `print` and `input`."""
    source, sink, nothing = os.dup(0), os.dup(1), os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    return source, sink


def _receive(source: int) -> bytes:
    return _read(source, int.from_bytes(_read(source, 8), "big"))


def _read(source: int, length: int) -> bytes:
    parts = []
    while length:
        part = os.read(source, min(length, 1_048_576))
        if not part:
            os._exit(0)  # the service is gone
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _confine(memory_bytes: int, cpu_seconds: int) -> None:
    for kind, most in (
        (resource.RLIMIT_AS, memory_bytes),
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_FSIZE, FILE_BYTES),
        (resource.RLIMIT_NOFILE, MOST_FILES),
        (resource.RLIMIT_NPROC, MOST_PROCESSES),
        (resource.RLIMIT_CORE, 0),
    ):
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
    if sys.platform == "linux":
        prctl: Any = ctypes.CDLL(None).prctl
        prctl(_SET_DEATH_SIGNAL, signal.SIGKILL, 0, 0, 0)
        prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        with open("/proc/self/oom_score_adj", "w") as file:  # noqa: PTH123 - where memory is short, this goes first
            file.write("1000")


if __name__ == "__main__":
    main()
