"""A real Redis or Valkey server that a test may take away, hold up and bring back."""

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

BINARY = shutil.which("valkey-server") or shutil.which("redis-server")
MISSING = "needs valkey-server or redis-server on PATH (Debian: apt-get install redis-server)"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


class RedisServer:
    """Keeps its port over `stop` and `start`, and forgets all that it knew."""

    def __init__(self, folder: Path, *options: str) -> None:
        self._folder = folder
        self._options = options
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        assert BINARY
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", *self._options]
        self._process = subprocess.Popen([BINARY, *options], cwd=self._folder, stdout=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            return self.ask("PING") == b"+PONG\r\n"
        except OSError:
            return False

    def ask(self, command: str) -> bytes:
        """The beginning of the reply to one command, as it comes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=5) as connection:
            connection.sendall(f"{command}\r\n".encode())
            return connection.recv(65536)

    def freeze(self) -> None:
        """Connections stay, nothing is answered."""
        assert self._process
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        """Go away at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def one_node_cluster(folder: Path) -> RedisServer:
    """A server in cluster mode that has all slots, started."""
    server = RedisServer(folder, "--cluster-enabled", "yes")
    server.start()
    assert server.ask("CLUSTER ADDSLOTSRANGE 0 16383") == b"+OK\r\n"
    while b"cluster_state:ok" not in server.ask("CLUSTER INFO"):
        pass
    return server
