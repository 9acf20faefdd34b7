"""Events and errors as bytes for the store, and back: the event's name, a space, and JSON, on one line."""

from collections.abc import Callable, Mapping
from typing import Any, cast, get_args

import msgspec

from app.errors import AppError, InternalError
from app.runs.events import ApprovalRequired, Event, RunFailed, RunFinished, RunPaused, Token

_encode = msgspec.json.Encoder().encode
_decode_fields = msgspec.json.Decoder(dict[str, Any]).decode
_decoders: Mapping[bytes, Callable[[bytes], Event]] = {
    kind.name.encode(): msgspec.json.Decoder(kind).decode for kind in get_args(Event) if kind is not RunFailed
}
_PAUSED = RunPaused.name.encode() + b" "
_REQUIRED = ApprovalRequired.name.encode() + b" "
_LAST = (RunFinished.name.encode() + b" ", RunFailed.name.encode() + b" ")
_NOT_KEPT = frozenset({"words"})
"""Attributes of errors that hold what others wrote."""


def encode_event(event: Event) -> bytes:
    """One line, without its end."""
    if type(event) is Token:  # as nearly all are
        return b"token " + _encode(event)
    if type(event) is RunFailed:
        return b"run.failed " + encode_error(event.error)
    return b"%b %b" % (event.name.encode(), _encode(event))


def decode_event(line: bytes) -> Event:
    """Raises ValueError (msgspec.DecodeError, KeyError's words) for what `encode_event` has not made."""
    name, _, data = line.partition(b" ")
    if name == b"run.failed":
        return RunFailed(decode_error(data))
    decode = _decoders.get(name)
    if decode is None:
        raise ValueError(f"there is no event called {name[:64]!r}")
    return decode(data)


def ends(line: bytes) -> bool:
    """Whether it is a run's last event."""
    return line.startswith(_LAST)


def pauses(line: bytes) -> bool:
    """Whether the run waits for people after it."""
    return line.startswith(_PAUSED)


def asks_for_approval(line: bytes) -> bool:
    return line.startswith(_REQUIRED)


def encode_error(error: AppError) -> bytes:
    """All that a caller may be shown of it."""
    kept = {name: value for name, value in vars(error).items() if name not in _NOT_KEPT}
    return _encode({"slug": error.slug, "fields": kept})


def decode_error(data: bytes) -> AppError:
    """An error that every dialect shows as it shows the one that was encoded."""
    read = _decode_fields(data)
    fields = cast(dict[str, Any], read["fields"])
    kind = _kinds().get(read["slug"])
    if kind is None:  # another version's
        return InternalError(fields["detail"], retry_after=fields["retry_after"])
    error = kind.__new__(kind, fields["detail"])
    vars(error).update({name: tuple(value) if isinstance(value, list) else value for name, value in fields.items()})
    for name in _NOT_KEPT & kind.__init__.__annotations__.keys():
        setattr(error, name, "")
    return error


def _kinds() -> Mapping[str, type[AppError]]:
    """The classes of errors that app/errors.py has, by their slugs: others are a part's own kind of one of these."""
    found: dict[str, type[AppError]] = {}
    waiting: list[type[AppError]] = AppError.__subclasses__()
    for kind in waiting:
        if kind.__module__ == AppError.__module__:
            found[kind.slug] = kind
        waiting += kind.__subclasses__()
    return found
