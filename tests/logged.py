"""What the service logs, for tests within its process."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from app.telemetry.lines import Line
from app.telemetry.logs import log


@contextmanager
def capture_logs() -> Iterator[list[dict[str, Any]]]:
    """The lines that are logged within the block, of every level: event, `log_level`, and the fields of each."""
    lines: list[dict[str, Any]] = []

    def keep(line: Line) -> None:
        _, level, event, _, fields = line
        lines.append({**fields, "event": event, "log_level": level})

    with restored_log():
        log.write, log.level = keep, logging.NOTSET
        yield lines


@contextmanager
def restored_log() -> Iterator[None]:
    """Leaves the log, and the standard library's, as they were before the block."""
    write, level, content, root = log.write, log.level, log.content, logging.getLogger()
    handlers, root_level = root.handlers[:], root.level
    try:
        yield
    finally:
        log.write, log.level, log.content = write, level, content
        root.handlers[:] = handlers
        root.setLevel(root_level)
