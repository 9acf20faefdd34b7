"""A real PostgreSQL server that a test may take away and bring back."""

import os
import pwd
import shutil
import signal
import subprocess
import time
from pathlib import Path
from tempfile import mkdtemp

from tests.redis_server import free_port

_FOLDERS = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
_PATH = os.pathsep.join([os.environ.get("PATH", ""), *map(str, _FOLDERS)])
INITDB, POSTGRES = (
    str(Path(found).resolve()) if (found := shutil.which(name, path=_PATH)) else None for name in ("initdb", "postgres")
)
MISSING = "needs initdb and postgres, on PATH or in /usr/lib/postgresql (Debian: apt-get install postgresql)"


class PostgresServer:
    """Keeps its port and its data over `stop` and `start`. PostgreSQL does not run as root: another user does then."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgresql://agent@127.0.0.1:{self.port}/postgres"
        self._user = _unprivileged()
        self._data = mkdtemp(prefix="agent-api-postgres-")  # not below pytest's folders: they are their owner's alone
        if self._user is not None:
            shutil.chown(self._data, self._user)
        self._process: subprocess.Popen[bytes] | None = None
        assert INITDB
        options = ["--username=agent", "--auth=trust", "--no-sync", "--encoding=UTF8", "--no-locale"]
        subprocess.run([INITDB, "-D", self._data, *options], check=True, capture_output=True, cwd="/", user=self._user)

    def start(self) -> None:
        assert POSTGRES
        settings = {"port": self.port, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off"}
        options = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [POSTGRES, "-D", self._data, *options], stderr=subprocess.DEVNULL, cwd="/", user=self._user
        )
        end = time.monotonic() + 30
        while not self._answers():
            assert self._process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.05)

    def _answers(self) -> bool:
        import psycopg

        try:
            psycopg.connect(self.url, connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def stop(self) -> None:
        """Go away at once: connections break."""
        if self._process is not None:
            self._process.send_signal(signal.SIGQUIT)
            self._process.wait()
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._data)


def _unprivileged() -> str | None:
    """The user that the server runs as; None: as this process does."""
    if os.getuid() != 0:
        return None
    return next(entry.pw_name for name in ("postgres", "nobody") for entry in pwd.getpwall() if entry.pw_name == name)
