"""The process of one call: a copy of the template's, which gives up what it can, and then loads the tool."""

import importlib
import json
import os
import resource

from app.tools.isolation.work import answer

MOST_PROCESSES = 4_096
"""Of this user, on this machine: what is left to stop a fork bomb with, where no control group does."""
MOST_FILES = 256
FILE_BYTES = 64 * 1024 * 1024


def work_on(exchange: int) -> None:
    """Answer the call that comes over this socket. Does not return."""
    start = json.loads(_receive(exchange))
    _confine(start["memory_bytes"], start["cpu_seconds"])
    module = importlib.import_module(start["module"])
    reply = answer(module, _receive(exchange))
    os.write(exchange, len(reply).to_bytes(8, "big"))
    while reply:
        reply = reply[os.write(exchange, reply) :]
    os.read(exchange, 1)  # the template ends this process, and whatever it has started, or is gone
    os._exit(0)


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
    ):
        hard = resource.getrlimit(kind)[1]
        limit = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(kind, (limit, limit))
