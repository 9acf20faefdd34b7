"""Structured logs: one JSON object a line on stdout, each with `request_id` and `trace_id`."""

import asyncio
import atexit
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import lru_cache
from threading import Lock
from time import time_ns
from typing import Any, BinaryIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from app.settings import Settings
from app.telemetry.context import current

_encode = msgspec.json.Encoder(enc_hook=str).encode


def complete(_: Any, level: str, event: EventDict) -> EventDict:
    """Put what every line has in front: time (UTC), level, event and the request's ids."""
    return _line(level, event.pop("event", ""), event)


def _timestamp() -> str:
    """ISO 8601 in UTC."""
    seconds, microseconds = divmod(time_ns() // 1000, 1_000_000)
    return f"{_second(seconds)}.{microseconds:06d}Z"


@lru_cache(maxsize=1)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _line(level: str, event: Any, fields: Mapping[str, Any]) -> dict[str, Any]:
    request_id, trace_id, _ = current.get()
    return {
        "timestamp": _timestamp(),
        "level": "error" if level == "exception" else level,
        "event": event,
        "request_id": request_id,
        "trace_id": trace_id,
        **fields,
    }


def _line_logger(level: int) -> type[structlog.typing.FilteringBoundLogger]:
    """structlog's filtering logger with a shorter way to a JSON line: several are written a request."""
    base: Any = structlog.make_filtering_bound_logger(level)

    class LineLogger(base):  # type: ignore[misc]
        def _proxy_to_logger(self, level: str, event: str | None = None, **fields: Any) -> Any:
            if "exc_info" in fields:
                return super()._proxy_to_logger(level, event, **fields)
            return self._logger.msg(_encoded(_line(level, event, fields)))

    return LineLogger


def _encoded(line: Mapping[str, Any]) -> bytes:
    try:
        return _encode(line)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form; it must not cost the whole line
        return _encode({key: _encodable(value) for key, value in line.items()})


def _encodable(value: Any) -> Any:
    return str(value).encode("utf-8", "replace").decode()


def _render_bytes(_: Any, __: str, event: EventDict) -> bytes:
    return _encoded(event)


def _render_text(_: Any, __: str, event: EventDict) -> str:
    return _encoded(event).decode()


def configure(settings: Settings, stream: BinaryIO | None = None) -> None:
    """Send structlog's and the standard library's records (uvicorn, asyncio, exporters) to the same place."""
    lines = _Lines(stream or sys.stdout.buffer)
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    shared: list[Processor] = [complete, structlog.processors.format_exc_info]
    renderer: Processor
    text_renderer: Processor
    if settings.log_format == "console":
        console = structlog.dev.ConsoleRenderer(
            colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        renderer, text_renderer = _to_bytes(console), console
    else:
        renderer, text_renderer = _render_bytes, _render_text
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=_line_logger(level)
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


def _to_bytes(renderer: Any) -> Processor:
    def render(logger: Any, method: str, event: EventDict) -> bytes:
        return str(renderer(logger, method, event)).encode("utf-8", "replace")

    return render


class _Lines:
    """Where the lines go. Those of one turn of the event loop are written together; others at once."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._waiting: list[bytes] = []
        self._lock = Lock()  # exporters log from threads of their own
        atexit.register(self.flush)

    def msg(self, line: bytes) -> None:
        with self._lock:
            self._waiting.append(line)
            first = len(self._waiting) == 1
        if first:
            try:
                asyncio.get_running_loop().call_soon(self.flush)
            except RuntimeError:
                self.flush()

    def flush(self) -> None:
        with self._lock:
            if self._waiting:
                self._out.write(b"\n".join(self._waiting) + b"\n")
                self._out.flush()
                self._waiting.clear()

    debug = info = warning = error = critical = exception = msg


class _LinesHandler(logging.Handler):
    def __init__(self, lines: _Lines) -> None:
        super().__init__()
        self._lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._lines.msg(self.format(record).encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - logging must never raise into what it logs
            self.handleError(record)
