"""A real Valkey or Redis server for the benchmark: from PATH, from a Debian package, or from an image."""

import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

from bench.process import OTHER_CPUS, Child, free_port

_CACHE = Path(__file__).parent / ".cache" / "redis"
_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
_IMAGE = "valkey/valkey:8-alpine"
_OPTIONS = ("--save", "", "--appendonly", "no", "--bind", "127.0.0.1", "--loglevel", "warning")


class NotFoundError(RuntimeError):
    """There is no server of the Redis protocol to be had; the message says what to install."""


def start() -> tuple[Child, int, str]:
    """The running server, its port and what it is."""
    port = free_port()
    argv, env, kind = _command(port)
    child = Child("valkey", argv, env=env, stdout=subprocess.DEVNULL)
    end = time.monotonic() + 60
    while not _answers(port):
        if child.popen.poll() is not None or time.monotonic() > end:
            child.stop()
            raise RuntimeError(f"{kind} did not start")
        time.sleep(0.05)
    return child, port, kind


def clear(port: int) -> None:
    """Drops every key, so that each cell starts with an empty store."""
    _ask(port, b"FLUSHALL ASYNC\r\n")


def keys(port: int) -> int:
    """How many keys the store holds."""
    return int(_ask(port, b"DBSIZE\r\n")[1:])


def _command(port: int) -> tuple[list[str], dict[str, str], str]:
    env = dict(os.environ)
    for name in ("valkey-server", "redis-server"):
        if path := shutil.which(name):
            return [path, "--port", str(port), *_OPTIONS], env, name
    if shutil.which("apt-get") and shutil.which("dpkg-deb") and (unpacked := _unpacked()):
        libraries = ":".join(str(path) for path in (unpacked / "usr" / "lib").glob("*-linux-*"))
        argv = [str(unpacked / "usr" / "bin" / "redis-server"), "--port", str(port), *_OPTIONS]
        return argv, env | {"LD_LIBRARY_PATH": libraries}, "redis-server of the Debian package"
    if shutil.which("docker"):
        cpus = ",".join(map(str, sorted(OTHER_CPUS)))
        docker = ["docker", "run", "--rm", "--network", "host", "--cpuset-cpus", cpus, "--init", _IMAGE]
        return [*docker, "valkey-server", "--port", str(port), *_OPTIONS], env, _IMAGE
    raise NotFoundError("needs valkey-server or redis-server on PATH (Debian: apt-get install redis-server)")


def _unpacked() -> Path | None:
    """The Debian package, downloaded and unpacked without installing it; None when that fails."""
    root = _CACHE / "root"
    if (root / "usr" / "bin" / "redis-server").exists():
        return root
    _CACHE.mkdir(parents=True, exist_ok=True)
    print("valkey: fetching the Debian package redis-server", file=sys.stderr)
    subprocess.run(["apt-get", "download", *_PACKAGES], cwd=_CACHE, capture_output=True, check=False)
    for package in _CACHE.glob("*.deb"):
        subprocess.run(["dpkg-deb", "-x", package, root], check=False)
    return root if (root / "usr" / "bin" / "redis-server").exists() else None


def _answers(port: int) -> bool:
    try:
        return _ask(port, b"PING\r\n") == b"+PONG"
    except OSError:
        return False


def _ask(port: int, command: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(command)
        return connection.recv(64).strip()
