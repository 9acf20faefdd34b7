"""Buffers log lines and writes them in batches, off the request path."""

import asyncio
import atexit
import re
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from threading import RLock
from time import time_ns
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import msgspec
from msgspec import Raw

from app.telemetry.context import RequestContext, current
from app.telemetry.scrubbing import redactor_of_process

if TYPE_CHECKING:
    from app.redaction.redactor import Redactor
    from app.telemetry.clean_lines import LineCleaner
    from app.telemetry.log_files import LogFile

WRITE_AFTER_SECONDS = 0.005
"""Maximum age of a line that a killed process has not written."""

Fields = Mapping[str, Any]
Line = tuple[int, str, Any, RequestContext, Fields]
"""Time in nanoseconds since the epoch, level, event, the request's ids, other fields."""


class Rendered(NamedTuple):
    """A line as it is to be written, without its end."""

    level: str
    text: bytes


_encoder = msgspec.json.Encoder(enc_hook=str)


_UNSEEN = re.compile(
    rb"\x7f|\xc2[\x80-\x9f]|\xd8\x9c|\xe2\x80[\x8b-\x8f\xa8-\xae]|\xe2\x81[\xa0-\xaf]|\xef\xbb\xbf|\xf3\xa0[\x80\x81]."
)
"""In UTF-8: DEL, the C1 controls, separators of lines and paragraphs, what turns the direction of text, and what has no
width. Terminals obey some, and none is seen."""


def visible(text: bytes) -> bytes:
    """UTF-8 with such characters as JSON's escapes. The C0 controls are escaped by then."""
    if text.isascii() and b"\x7f" not in text:
        return text
    return _UNSEEN.sub(_escape, text)


def _escape(found: re.Match[bytes]) -> bytes:
    units = found[0].decode().encode("utf-16-be")
    return b"".join([b"\\u%04x" % int.from_bytes(units[at : at + 2]) for at in range(0, len(units), 2)])


def line(level: str, event: Any, fields: Fields) -> Line:
    """A line with the current time and request."""
    return time_ns(), level, event, current.get(), fields


def as_dict(line: Line) -> dict[str, Any]:
    """The line's fields; those of every line come first: time (UTC), level, event and the request's ids."""
    at, level, event, request, fields = line
    return {
        "timestamp": _timestamp(at),
        "level": level,
        "event": event,
        "request_id": request.request_id,
        "trace_id": request.trace_id,
        **fields,
    }


def encoded(fields: Fields) -> bytes:
    """JSON; values without a JSON form become their `str`."""
    try:
        return _encoder.encode(fields)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form; it must not cost the whole line
        return _encoder.encode({key: _encodable(value) for key, value in fields.items()})


def _encodable(value: Any) -> Any:
    return str(value).encode("utf-8", "replace").decode()


def _timestamp(nanoseconds: int) -> str:
    """ISO 8601 in UTC."""
    digits = str(nanoseconds)
    return f"{_second(digits[:-9])}.{digits[-9:-3]}Z"


@lru_cache(maxsize=1)
def _second(seconds: str) -> str:
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%S")


class Lines:
    """A buffer of lines. Inside an event loop they are encoded and written together, a moment later."""

    def __init__(self, out: BinaryIO, file: "LogFile | None" = None, error_file: "LogFile | None" = None) -> None:
        """Errors are written to `error_file` as well, and all lines to `file`."""
        self._out = out
        self._file = file
        self._error_file = error_file
        self._waiting: deque[Line | Rendered] = deque()  # exporters log from threads: no lock, it is atomic
        self._flushes = False  # soon
        self._writing = RLock()  # a scanner that broke is logged meanwhile
        self._cleaner: LineCleaner | None = None
        atexit.register(self.flush)

    def add(self, line: Line | Rendered) -> None:
        self._waiting.append(line)
        if not self._flushes:
            self._flushes = True
            try:
                asyncio.get_running_loop().call_later(WRITE_AFTER_SECONDS, self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        with self._writing:
            self._flushes = False  # first: what is added from now on may not be among these
            waiting = self._waiting
            lines = [waiting.popleft() for _ in range(len(waiting))]  # whatever becomes of these, the next are written
            if lines:
                written = written_of(lines)
                if (redactor := redactor_of_process()) is not None and (cleaned := self._cleaned(redactor, lines)):
                    lines, written = cleaned, written_of(cleaned)
                text = visible(written)
                if self._file is not None:
                    self._file.write(text)
                if self._error_file is not None and (errors := [line for line in lines if _is_error(line)]):
                    self._error_file.write(visible(written_of(errors)))
                self._out.write(text)
                self._out.flush()

    def _cleaned(self, redactor: "Redactor", lines: list[Line | Rendered]) -> list[Line | Rendered] | None:
        if self._cleaner is None or self._cleaner.redactor is not redactor:
            from app.telemetry.clean_lines import LineCleaner  # which needs this module

            self._cleaner = LineCleaner(redactor)
        return self._cleaner.clean(lines)


def _is_error(line: Line | Rendered) -> bool:
    return (line.level if isinstance(line, Rendered) else line[1]) == "error"


def written_of(lines: list[Line | Rendered]) -> bytes:
    try:
        return _encoder.encode_lines(
            [Raw(line.text) if isinstance(line, Rendered) else as_dict(line) for line in lines]
        )
    except UnicodeEncodeError:
        return b"".join(
            [(line.text if isinstance(line, Rendered) else encoded(as_dict(line))) + b"\n" for line in lines]
        )
