"""WatchedFile: a file that is read anew when it changes, as a mounted Secret does."""

import asyncio
import os
import time
from collections.abc import Callable
from pathlib import Path

from app.errors import ConfigurationError
from app.files import read_file

CHECK_SECONDS = 2.0
"""How often a file is looked at."""

SETTLE_SECONDS = 0.1
"""How long a changed file has to stay as it is before it is read: it may be half written."""


class WatchedFile:
    """Hands each new content to `take`. Why one cannot be read, or `take` raises, is told to `refused` once."""

    def __init__(
        self, path: Path, max_bytes: int, take: Callable[[bytes], None], refused: Callable[[str], None]
    ) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._take = take
        self._refused = refused
        self._seen = _signature(path)
        self._unread = False  # the last try to read it failed, and may not fail again
        self._refusal = ""  # why the file as it is now was not taken

    def read(self) -> bytes:
        """Raises what read_file raises."""
        return read_file(self._path, self._max_bytes)

    async def watch(self) -> None:
        """Look for changes until cancelled."""
        while True:
            await asyncio.sleep(CHECK_SECONDS)
            await asyncio.to_thread(self.refresh)

    def refresh(self) -> None:
        """Read the file anew if it has changed; blocks for a moment."""
        try:
            content = self._changed()
            if content is None:
                return
            self._take(content)
        except (OSError, ValueError, ConfigurationError) as error:
            why = reason(error)
            if why != self._refusal:
                self._refused(why)
            self._refusal = why
        else:
            self._refusal = ""

    def _changed(self) -> bytes | None:
        signature = _signature(self._path)
        if signature == self._seen and not self._unread:
            return None
        time.sleep(SETTLE_SECONDS)
        if _signature(self._path) != signature:
            return None  # somebody is writing; the next look sees what it has become
        self._seen, self._unread = signature, False
        try:
            return self.read()
        except OSError:
            self._unread = True
            raise


def reason(error: Exception) -> str:
    """Why a file was not taken, without its content."""
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _signature(path: Path) -> tuple[int, int, int, int] | None:
    try:
        stat = os.stat(path)  # noqa: PTH116 - Path.stat is this, slower
    except (OSError, ValueError):  # ValueError: no file has such a name
        return None
    return stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size
