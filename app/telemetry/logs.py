"""Structured logs: one JSON object a line on stdout, each with `request_id` and `trace_id`."""

import logging
import sys
from collections.abc import Callable, Mapping
from time import time_ns
from typing import Any, BinaryIO

import structlog
from structlog.typing import EventDict

from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.lines import Line, Lines, Rendered, as_dict, encoded, line
from app.telemetry.scrubbing import without_secrets
from app.telemetry.stacks import stack_of

MAX_FOREIGN_CHARS = 2048
"""Of a library's message."""


def _to_stdout(line: Line) -> None:
    sys.stdout.write(encoded(as_dict(line)).decode() + "\n")


class Log:
    """Writes an event and its fields as one line."""

    def __init__(self) -> None:
        self.write: Callable[[Line], None] = _to_stdout
        """Where lines go; `configure` sets it."""
        self.level = logging.INFO
        """Minimum level, as the standard library numbers them."""
        self.content = False
        """Whether lines may have what users, models, tools and providers said (LOG_CONTENT)."""

    def info(self, event: str, **fields: Any) -> None:
        if self.level <= logging.INFO:
            self.write((time_ns(), "info", event, current.get(), fields))  # as `line` does: most lines are these

    def note(self, event: str, fields: dict[str, Any]) -> None:
        """As `info`, with fields that are together already: none is passed by itself."""
        if self.level <= logging.INFO:
            self.write((time_ns(), "info", event, current.get(), fields))

    def always(self, event: str, fields: Mapping[str, Any]) -> None:
        """As `info`, at every LOG_LEVEL: what has to be on record."""
        self.write(line("info", event, fields))

    def warning(self, event: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """`exc_info` is an exception whose stack the line has, without secrets."""
        if self.level <= logging.WARNING:
            self.write(line("warning", event, fields if exc_info is None else _with_stack(fields, exc_info)))

    def error(self, event: str, *, exc_info: BaseException | None = None, **fields: Any) -> None:
        """`exc_info` is an exception whose stack the line has, without secrets."""
        self.write(line("error", event, fields if exc_info is None else _with_stack(fields, exc_info)))

    def exception(self, event: str, **fields: Any) -> None:
        """An error with the stack of the exception that is being handled."""
        self.error(event, exc_info=sys.exception(), **fields)


log = Log()


def _with_stack(fields: EventDict, error: BaseException) -> dict[str, Any]:
    return {**fields, "exception": stack_of(error, content=log.content)}


def configure(settings: Settings, stream: BinaryIO | None = None) -> None:
    """Send the service's lines and the standard library's records (uvicorn, asyncio, exporters) to one place.

    Raises ConfigurationError for a log file that cannot be written.
    """
    lines = _lines(settings, stream or sys.stdout.buffer)
    log.level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    log.content = settings.log_content
    if settings.log_format == "console":
        render = _console()
        log.write = lambda line: lines.add(Rendered(line[1], render(as_dict(line))))
    else:
        log.write = lines.add
    logging.basicConfig(handlers=[_LinesHandler()], level=max(log.level, logging.INFO), force=True)


def _lines(settings: Settings, out: BinaryIO) -> Lines:
    if not (settings.log_file or settings.log_error_file):
        return Lines(out)
    from app.telemetry.log_files import open_files  # a cluster needs none

    return Lines(out, *open_files(settings, _tell_trouble))


def _tell_trouble(path: str, problem: str) -> None:
    log.warning("log_file.failed", file=path, error=problem)


def _console() -> Callable[[EventDict], bytes]:
    """For people's terminals."""
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    return lambda event: str(console(None, event["level"], _escape_controls(event))).encode("utf-8", "replace")


def _escape_controls(event: EventDict) -> EventDict:
    """The event without controls: what a client sent cannot colour a terminal or begin a line."""
    return {
        name: _escaped(value, "\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _escaped(text: str, allowed: str) -> str:
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() or char in allowed else ascii(char)[1:-1] for char in text])


class _LinesHandler(logging.Handler):
    """Makes lines of the standard library's records."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            fields: dict[str, Any] = {"logger": record.name}
            if record.exc_info and record.exc_info[1]:
                fields = _with_stack(fields, record.exc_info[1])
            level = "error" if record.levelno >= logging.ERROR else record.levelname.lower()
            log.write(line(level, without_secrets(record.getMessage())[:MAX_FOREIGN_CHARS], fields))
        except Exception:  # noqa: BLE001 - logging must never raise into what it logs
            self.handleError(record)
