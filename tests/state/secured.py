"""A real server behind a password, a socket file or TLS."""

import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.redis_server import BINARY, free_port


class SecuredServer:
    """Runs for a `with` block, on a port or, without one, on the socket file `path`."""

    def __init__(self, folder: Path, *options: str, tls: bool = False, on_path: bool = False) -> None:
        self.port = 0 if on_path else free_port()
        self.path = folder / "s"
        where = ["--tls-port", str(self.port), "--port", "0"] if tls else ["--port", str(self.port)]
        if on_path:
            where += ["--unixsocket", str(self.path)]
        assert BINARY
        self._argv = [BINARY, *where, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *options]
        self._folder = folder

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._argv, cwd=self._folder, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self._listens():
            assert self._process.poll() is None, "the server does not start"
            assert time.monotonic() < end
            time.sleep(0.02)
        return self

    def _listens(self) -> bool:
        family, address = (socket.AF_INET, ("127.0.0.1", self.port)) if self.port else (socket.AF_UNIX, str(self.path))
        with suppress(OSError), socket.socket(family) as probe:
            probe.connect(address)
            return True
        return False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
