"""Files that are read anew when they change, as a mounted Secret or ConfigMap does."""

import asyncio
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from app.errors import ConfigurationError

CHECK_SECONDS = 2.0
SETTLE_SECONDS = 0.1
"""How long what has changed has to stay as it is before it is read: it may be half written."""

Signature = tuple[object, ...]


class Reloading:
    """One file, or the files of one folder. `load` reads them; what it refuses changes nothing."""

    def __init__(self, setting: str, path: Path, load: Callable[[], None], on_refusal: Callable[[str], None]) -> None:
        """Loads for the first time. Raises ConfigurationError, named after the setting, for what cannot be read.

        `load` raises OSError for what cannot be read and ValueError for what cannot be meant. `on_refusal` is told
        later why a change was not taken, once for each reason.
        """
        self._path = path
        self._load = load
        self._on_refusal = on_refusal
        self._seen = _signature(path)
        self._unread = False  # the last try to read it failed, and may not fail again
        self._refusal = ""  # why what is there now was not taken
        try:
            load()
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{setting}: {path}: {_reason(error)}") from None

    async def watch(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Load anew if there was a change. What is broken, empty or gone leaves everything as it is."""
        signature = _signature(self._path)
        if signature == self._seen and not self._unread:
            return
        time.sleep(SETTLE_SECONDS)
        if _signature(self._path) != signature:
            return  # somebody is writing; the next look sees what it has become
        self._seen, self._unread = signature, False
        try:
            self._load()
        except (OSError, ValueError) as error:
            self._unread = isinstance(error, OSError)
            self._refuse(_reason(error))
        else:
            self._refusal = ""

    def _refuse(self, reason: str) -> None:
        if reason != self._refusal:
            self._on_refusal(reason)
        self._refusal = reason


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """The content of a regular file, or of one that a link leads to.

    Raises OSError, and ValueError for a longer file, and for what is no regular file, whose end may never come.
    """
    with open(path, "rb", opener=_open) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise ValueError("is not a regular file")
        content = file.read(max_bytes + 1)
    if len(content) > max_bytes:
        raise ValueError(f"has more than {max_bytes} bytes")
    return content


def _open(path: str, flags: int) -> int:
    """Does not wait for somebody to write, as opening a pipe does."""
    return os.open(path, flags | os.O_NONBLOCK)


def _signature(path: Path) -> Signature | None:
    try:
        if not path.is_dir():
            return _stat(path)
        return tuple((entry.name, *_stat(entry)) for entry in sorted(path.iterdir()) if entry.is_file())
    except OSError:
        return None


def _stat(path: Path) -> Signature:
    found = os.stat(path)  # noqa: PTH116 - Path.stat is this, slower
    return found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)
