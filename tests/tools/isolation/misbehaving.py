"""Tools that run in processes of their own, and what they try there."""

import asyncio
import ctypes
import json
import os
import resource
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.tools import ToolContext, ToolError, tool
from app.tools.rules import Under

SEEN: list[str] = []
"""What an earlier call left: nothing is ever there."""


@tool(isolation="process")
async def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


@tool(isolation="process")
async def look_around(context: ToolContext) -> dict[str, Any]:
    """Tell what there is."""
    SEEN.append("been here")
    return {
        "environment": dict(os.environ),
        "open": _descriptors(),
        "folder": str(Path.cwd()),
        "own group": os.getpgid(0) == os.getpid() == os.getsid(0),
        "seen": SEEN,
        "caller": [context.caller.user, context.caller.team, context.caller.tier, sorted(context.caller.scopes)],
        "key": context.idempotency_key,
        "left": round(context.seconds_left),
        "credential": repr(context.caller.credential),
        "cores": resource.getrlimit(resource.RLIMIT_CORE),
        "memory": resource.getrlimit(resource.RLIMIT_AS)[0],
        "service loaded": [name for name in ("app.settings.fields", "app.main", "fastapi") if name in sys.modules],
    }


def _descriptors() -> list[str]:
    """What each open one leads to."""
    found = []
    for fd in range(256):
        with suppress(OSError):
            found.append(str(Path(f"/proc/self/fd/{fd}").readlink()))
    return found


@tool(isolation="process")
async def cite(context: ToolContext) -> str:
    """Cite, and hand over."""
    context.sources.append("a/source")
    context.hand_over("tired", "all of it")
    print("noise on standard output")
    os.write(1, b"\x00\x00\x00\x00\x00\x00\x00\x02{}")
    return "cited"


@tool(isolation="process", rules={"path": Under("/srv")})
async def read(path: str) -> str:
    """Read."""
    return path


@tool(isolation="process")
async def fail(how: str) -> Any:
    """Fail."""
    if how == "exit":
        os._exit(7)
    if how == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if how == "memory":
        return len(bytearray(10**10))
    if how == "refuse":
        raise ToolError("Not on Sundays.")
    if how == "defect":
        raise RuntimeError("inner workings")
    return "x" * 1_000_000


@tool(isolation="process", timeout_seconds=60)
async def stay(how: str, file: str) -> str:
    """Stay for long, and start another process."""
    return _stay(how, Path(file))


def _stay(how: str, file: Path) -> str:
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    file.write_text(f"{os.getpid()} {child.pid}")
    if how == "die":
        os._exit(1)
    if how == "block":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        threading.Thread(target=time.sleep, args=(600,)).start()
        time.sleep(600)
    return "left a child behind"


@tool(isolation="process", timeout_seconds=20)
async def burn() -> int:
    """Burn CPU."""
    number = 0
    while True:
        number += 1


@tool(isolation="process")
async def write_much(file: str) -> str:
    """Fill the disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    await asyncio.to_thread(Path(file).write_bytes, b"x" * 100_000_000)
    return "wrote it"


@tool(isolation="process", timeout_seconds=60)
async def flee(file: str) -> str:
    """Leave the session, the way daemons do."""
    return _flee(Path(file))


def _flee(file: Path) -> str:
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.setsid()
            file.write_text(str(os.getpid()))
            time.sleep(600)
        os._exit(0)
    os.wait()
    while not file.exists() or not file.read_text():
        time.sleep(0.01)
    return "fled"


@tool(isolation="process", timeout_seconds=60)
async def wait_for(file: str) -> str:
    """Wait for a file, after telling so."""
    return _wait_for(Path(file))


def _wait_for(file: Path) -> str:
    file.with_suffix(".waiting").touch()
    while not file.exists():
        time.sleep(0.01)
    return "it is there"


@tool(isolation="process")
async def hidden() -> bool:
    """Whether processes of the same user can look into this one."""
    return bool(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0) == 0)  # PR_GET_DUMPABLE


@tool(isolation="process", timeout_seconds=30)
async def stop_parent(how: str) -> str:
    """Stop or end what this process is a copy of."""
    os.kill(os.getppid(), signal.SIGSTOP if how == "stop" else signal.SIGKILL)
    return "stopped it"


@tool(isolation="process")
async def claim(status: str, fault: str) -> str:
    """Answer for the process, past all that is in front of it."""
    result: dict[str, Any] = {"status": status, "content": "x" * 1_000_000, "result": None, "fault": fault}
    result |= {"sources": ["s" * 10_000] * 1_000, "handed_over": ["r" * 100_000, "s" * 100_000]}
    reply = json.dumps(result).encode()
    for fd in range(3, 64):
        with suppress(OSError):
            if stat.S_ISSOCK(os.fstat(fd).st_mode) and os.get_blocking(fd):
                with socket.socket(fileno=os.dup(fd)) as exchange:
                    exchange.sendall(len(reply).to_bytes(8, "big") + reply)
    os._exit(0)
