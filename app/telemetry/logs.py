"""Structured logs: one JSON object a line on stdout, each with `request_id` and `trace_id`."""

import logging
import sys
import traceback
from collections.abc import Callable
from time import time_ns
from typing import Any, BinaryIO

import structlog
from structlog.typing import EventDict

from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.lines import Line, Lines, as_dict, encoded, line
from app.telemetry.scrubbing import without_secrets


def _to_stdout(line: Line) -> None:
    sys.stdout.write(encoded(as_dict(line)).decode() + "\n")


class Log:
    """Writes an event and its fields as one line."""

    def __init__(self) -> None:
        self.write: Callable[[Line], None] = _to_stdout
        """Where lines go; `configure` sets it."""
        self.level = logging.INFO
        """Minimum level, as the standard library numbers them."""

    def info(self, event: str, **fields: Any) -> None:
        if self.level <= logging.INFO:
            self.write((time_ns(), "info", event, current.get(), fields))  # as `line` does: most lines are these

    def note(self, event: str, fields: dict[str, Any]) -> None:
        """As `info`, with fields that are together already: none is passed by itself."""
        if self.level <= logging.INFO:
            self.write((time_ns(), "info", event, current.get(), fields))

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
    """Secrets are taken out of the stack: exceptions repeat URLs, headers and what servers said."""
    return {**fields, "exception": without_secrets("".join(traceback.format_exception(error)).rstrip("\n"))}


def configure(settings: Settings, stream: BinaryIO | None = None) -> None:
    """Send the service's lines and the standard library's records (uvicorn, asyncio, exporters) to one place."""
    lines = Lines(stream or sys.stdout.buffer)
    log.level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    if settings.log_format == "console":
        render = _console()
        log.write = lambda line: lines.add(render(as_dict(line)))
    else:
        render = encoded
        log.write = lines.add
    handler = _LinesHandler(lines)
    handler.setFormatter(_foreign_formatter(render))
    logging.basicConfig(handlers=[handler], level=max(log.level, logging.INFO), force=True)


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


def _foreign_formatter(render: Callable[[EventDict], bytes]) -> logging.Formatter:
    def text(_: Any, __: str, event: EventDict) -> str:
        return render(event).decode()

    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_logger_name, _complete],
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, text],
    )


def _complete(_: Any, level: str, fields: EventDict) -> EventDict:
    """A foreign record with what every line has, and the stack in place of the exception."""
    event, exc_info = fields.pop("event", ""), fields.pop("exc_info", None)
    return as_dict(line(level, event, _with_stack(fields, exc_info[1]) if exc_info and exc_info[1] else fields))


class _LinesHandler(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.add(self.format(record).encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - logging must never raise into what it logs
            self.handleError(record)
