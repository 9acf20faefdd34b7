"""Structured logs: one JSON object a line on stdout, each with `request_id` and `trace_id`."""

import logging
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from app.settings import Settings
from app.telemetry.lines import Lines, as_dict, encoded, line
from app.telemetry.scrubbing import without_secrets


class _Logger:
    """structlog's logger as it is configured by then. Its methods are looked up once, not for every line."""

    def __getattr__(self, level: str) -> Callable[..., None]:
        write: Callable[..., None] = getattr(structlog.get_logger(), level)
        if structlog.get_config()["cache_logger_on_first_use"]:
            setattr(self, level, write)
        return write


log = _Logger()


def complete(_: Any, level: str, event: EventDict) -> EventDict:
    """Put what every line has in front."""
    return as_dict(line("error" if level == "exception" else level, event.pop("event", ""), event))


def scrub_stack(_: Any, __: str, event: EventDict) -> EventDict:
    """Take secrets out of a stack: exceptions repeat URLs, headers and what servers said."""
    if stack := event.get("exception"):
        event["exception"] = without_secrets(stack)
    return event


def _line_logger(level: int, lines: Lines) -> type[FilteringBoundLogger]:
    """structlog's filtering logger with a shorter way for lines without a stack: several are written a request."""
    base: Any = structlog.make_filtering_bound_logger(level)
    numbers = logging.getLevelNamesMapping()
    names = [name for name in ("debug", "info", "warning", "error") if numbers[name.upper()] >= level]
    return type("LineLogger", (base,), {name: _shortcut(name, lines, getattr(base, name)) for name in names})


def _shortcut(level: str, lines: Lines, long_way: Callable[..., Any]) -> Callable[..., Any]:
    def write(self: Any, event: str | None = None, *arguments: Any, **fields: Any) -> Any:
        if arguments or "exc_info" in fields:
            return long_way(self, event, *arguments, **fields)
        return lines.add(line(level, event, fields))

    return write


def _render_bytes(_: Any, __: str, event: EventDict) -> bytes:
    return encoded(event)


def _render_text(_: Any, __: str, event: EventDict) -> str:
    return encoded(event).decode()


def configure(settings: Settings, stream: BinaryIO | None = None) -> None:
    """Send structlog's and the standard library's records (uvicorn, asyncio, exporters) to the same place."""
    lines = Lines(stream or sys.stdout.buffer)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [complete, structlog.processors.format_exc_info, scrub_stack]
    renderer: Processor
    text_renderer: Processor
    if settings.log_format == "console":
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        shared = [*shared, _escape_controls]
        renderer, text_renderer = _to_bytes(console), console
    else:
        renderer, text_renderer = _render_bytes, _render_text
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=_line_logger(level, lines)
        if settings.log_format == "json"
        else structlog.make_filtering_bound_logger(level),
        logger_factory=lambda *_: lines,
        cache_logger_on_first_use=True,
    )
    handler = _LinesHandler(lines)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.add_logger_name, *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, text_renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)


def _escape_controls(_: Any, __: str, event: EventDict) -> EventDict:
    """For people's terminals: what was sent cannot colour them, or begin a line of its own."""
    return {
        name: _escaped(value, "\n" if name == "exception" else "") if isinstance(value, str) else value
        for name, value in event.items()
    }


def _escaped(text: str, allowed: str) -> str:
    if text.isprintable():
        return text
    return "".join([char if char.isprintable() or char in allowed else ascii(char)[1:-1] for char in text])


def _to_bytes(renderer: Any) -> Processor:
    def render(logger: Any, method: str, event: EventDict) -> bytes:
        return str(renderer(logger, method, event)).encode("utf-8", "replace")

    return render


class _LinesHandler(logging.Handler):
    def __init__(self, lines: Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.add(self.format(record).encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - logging must never raise into what it logs
            self.handleError(record)
