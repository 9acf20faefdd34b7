"""Structured logs: one JSON object a line on stdout, each with `request_id` and `trace_id`."""

import logging
import sys
from datetime import UTC, datetime
from typing import Any, BinaryIO

import msgspec
import structlog
from structlog.typing import EventDict, Processor

from app.settings import Settings
from app.telemetry.context import current

_encode = msgspec.json.Encoder(enc_hook=str).encode


def complete(_: Any, level: str, event: EventDict) -> EventDict:
    """Put what every line has in front: time (UTC), level, event and the request's ids."""
    request_id, trace_id, _sampled = current.get()
    return {
        "timestamp": datetime.now(UTC).isoformat(timespec="microseconds"),
        "level": "error" if level == "exception" else level,
        "event": event.pop("event", ""),
        "request_id": request_id,
        "trace_id": trace_id,
        **event,
    }


def _render_bytes(_: Any, __: str, event: EventDict) -> bytes:
    try:
        return _encode(event)
    except UnicodeEncodeError:  # a lone surrogate has no UTF-8 form; it must not cost the whole line
        return _encode({key: _encodable(value) for key, value in event.items()})


def _encodable(value: Any) -> Any:
    return str(value).encode("utf-8", "replace").decode()


def _render_text(logger: Any, method: str, event: EventDict) -> str:
    return _render_bytes(logger, method, event).decode()


def configure(settings: Settings, stream: BinaryIO | None = None) -> None:
    """Send structlog's and the standard library's records (uvicorn, asyncio, exporters) to the same place."""
    out = stream or sys.stdout.buffer
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
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.BytesLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = _BytesHandler(out)
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


class _BytesHandler(logging.Handler):
    def __init__(self, out: BinaryIO) -> None:
        super().__init__()
        self._logger = structlog.BytesLogger(out)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._logger.msg(self.format(record).encode("utf-8", "replace"))
        except Exception:  # noqa: BLE001 - logging must never raise into what it logs
            self.handleError(record)
