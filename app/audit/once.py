"""One entry of a command's own, where it knows the store: on record before the command has its effect."""

import asyncio
import getpass
import os
import sys

from msgspec.structs import replace

from app.audit.build import Recording
from app.audit.entry import Entry
from app.settings import Settings, load
from app.state.redis import connect
from app.telemetry.lines import Line, as_dict, encoded
from app.telemetry.logs import log


def put_on_record(entry: Entry) -> None:
    """Does nothing where AUDIT is false. The user is that of the operating system. Raises
    ConfigurationError and StateUnavailable."""
    settings = load()
    if settings.audit and settings.redis_url:
        log.write = _to_stderr
        asyncio.run(_write(settings, replace(entry, user=f"os:{_who()}")))


def _who() -> str:
    """The name of whoever runs the command; their number where that has none, as in most images."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # the latter before Python 3.13
        return str(os.getuid())


async def _write(settings: Settings, entry: Entry) -> None:
    store = connect(settings.redis_url, settings.redis_ca_file, tls_strict=settings.tls_strict)
    try:
        recording = Recording(settings, store)
        await recording.audit.write(entry)
        await recording.aclose()
    finally:
        await store.aclose()


def _to_stderr(line: Line) -> None:
    """What a command prints is somebody's input."""
    sys.stderr.write(encoded(as_dict(line)).decode() + "\n")
