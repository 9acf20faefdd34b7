"""Log files that are rotated, for people without a cluster. Loaded only where LOG_FILE or LOG_ERROR_FILE is set.

A thread writes them: a disk that is slow, full or gone costs lines of the file and nothing else.
"""

import atexit
import errno
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from logging import INFO, LogRecord
from logging.handlers import RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue
from threading import Thread

from app.errors import ConfigurationError
from app.settings import Settings

MAX_WAITING_BYTES = 16 * 1024 * 1024
"""Of lines that a disk is too slow for; further ones are left out of the file."""

_CHUNK_BYTES = 65_536
_LAST_WORDS_SECONDS = 2.0

OnTrouble = Callable[[str, str], None]
"""Told once in the life of a file: its path, and what is wrong."""


class LogFile:
    """One rotated file. `write` returns at once."""

    def __init__(self, path: str, max_bytes: int, backups: int, on_trouble: OnTrouble) -> None:
        """Opens the file, and starts its thread. Raises OSError."""
        _check_regular(path)
        self._path = path
        self._on_trouble = on_trouble
        self._troubled = False
        self._chunk_bytes = min(_CHUNK_BYTES, max_bytes // 4)
        self._handler = _Rotating(path, max_bytes, backups, self._tell)
        self._queue: SimpleQueue[bytes | None] = SimpleQueue()
        self._waiting = 0  # bytes
        self._left_out = False
        self._thread = Thread(target=self._run, name=f"log file {path}", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    def write(self, lines: bytes) -> None:
        """Have whole lines written."""
        if self._waiting > MAX_WAITING_BYTES:
            self._left_out = True
            return
        self._waiting += len(lines)
        self._queue.put(lines)

    def close(self) -> None:
        """Write what waits, if that takes no more than a moment."""
        atexit.unregister(self.close)
        self._queue.put(None)
        self._thread.join(_LAST_WORDS_SECONDS)

    def _run(self) -> None:
        while (lines := self._queue.get()) is not None:
            for chunk in _chunks(lines, self._chunk_bytes):
                self._handler.handle(_record(chunk))
            self._waiting -= len(lines)
            if self._left_out:
                self._tell("the disk is too slow, and lines were left out")
        with suppress(OSError):
            self._handler.close()

    def _tell(self, problem: str) -> None:
        if not self._troubled:
            self._troubled = True
            self._on_trouble(self._path, problem)


class _Rotating(RotatingFileHandler):
    """Takes bytes as Latin-1, which maps each to one character: sizes are those of the file."""

    def __init__(self, path: str, max_bytes: int, backups: int, tell: Callable[[str], None]) -> None:
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="latin-1")
        self._tell = tell

    def doRollover(self) -> None:  # noqa: N802 - the standard library's name
        super().doRollover()
        if not self.backupCount and self.stream is not None:  # the standard library would go on with the same file
            self.stream.truncate(0)

    def handleError(self, record: LogRecord) -> None:  # noqa: N802 - likewise
        """The file is opened anew for the next lines; what is in its buffer is lost."""
        stream, self.stream = self.stream, None
        with suppress(OSError, ValueError):
            if stream is not None:
                stream.close()
        self._tell(reason_of(sys.exception()))


def open_files(settings: Settings, on_trouble: OnTrouble) -> tuple[LogFile | None, LogFile | None]:
    """The files of all lines and of errors, each None where it is not set. Raises ConfigurationError."""
    if settings.log_file and settings.log_file == settings.log_error_file:
        raise ConfigurationError("LOG_ERROR_FILE: is the file of LOG_FILE; name another")
    files: list[LogFile | None] = []
    for name in ("log_file", "log_error_file"):
        path = getattr(settings, name)
        try:
            file = LogFile(path, settings.log_file_max_bytes, settings.log_file_backups, on_trouble) if path else None
        except (OSError, ValueError) as error:
            raise ConfigurationError(f"{name.upper()}: {path!r} cannot be written ({reason_of(error)})") from None
        files.append(file)
    return files[0], files[1]


def reason_of(error: BaseException | None) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _check_regular(path: str) -> None:
    """Raises OSError for what is there and no file: to open a pipe would wait for its reader."""
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(Path(path).stat().st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file")


def _chunks(lines: bytes, size: int) -> list[bytes]:
    """Whole lines, together not much more than `size` bytes."""
    if len(lines) <= size:
        return [lines]
    chunks, chunk = [], b""
    for line in lines.splitlines(keepends=True):
        if chunk and len(chunk) + len(line) > size:
            chunks.append(chunk)
            chunk = b""
        chunk += line
    return [*chunks, chunk]


def _record(lines: bytes) -> LogRecord:
    return LogRecord("", INFO, "", 0, lines.rstrip(b"\n").decode("latin-1"), None, None)
