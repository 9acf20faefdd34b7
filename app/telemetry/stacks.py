"""An exception's stack for a log line. Exceptions repeat URLs, headers and what servers, users and models said."""

import traceback
from collections.abc import Iterator

from app.telemetry.scrubbing import without_secrets

MAX_MESSAGE_CHARS = 2048

_REPEATING = frozenset({"aiohttp", "anthropic", "httpx2", "httpcore2", "msgspec", "pydantic", "pydantic_core", "json"})
"""Packages whose exceptions repeat what was read."""

_CAUSE = "\nThe above exception was the direct cause of the following exception:\n\n"
_CONTEXT = "\nDuring handling of the above exception, another exception occurred:\n\n"
_MAX_LINKS = 20


def stack_of(error: BaseException, *, content: bool) -> str:
    """The stack as Python shows it, without secrets. Without `content`, an exception of a package that repeats what it
    read is told by its class alone."""
    return "".join(_parts(error, content, _MAX_LINKS)).rstrip("\n")


def message_of(error: BaseException, *, content: bool) -> str:
    """The exception's class and, where it may be told, its message."""
    kind = type(error)
    name = (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )
    if not content and any(base.__module__.partition(".")[0] in _REPEATING for base in kind.__mro__):
        return name
    try:
        said = without_secrets(str(error))[:MAX_MESSAGE_CHARS]
    except Exception:  # noqa: BLE001 - of others' making
        return name
    return f"{name}: {said}" if said else name


def _parts(error: BaseException, content: bool, links: int) -> Iterator[str]:
    if not links:
        return
    if error.__cause__ is not None:
        yield from _parts(error.__cause__, content, links - 1)
        yield _CAUSE
    elif error.__context__ is not None and not error.__suppress_context__:
        yield from _parts(error.__context__, content, links - 1)
        yield _CONTEXT
    if error.__traceback__ is not None:
        yield "Traceback (most recent call last):\n"
        yield from traceback.format_tb(error.__traceback__)
    yield f"{message_of(error, content=content)}\n"
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions[:_MAX_LINKS]:
            yield "\nIn this group:\n\n"
            yield from _parts(each, content, links - 1)
