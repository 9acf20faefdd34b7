"""Replies of the runs' scripts, which are names and values in turn: the one place where they are read."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import msgspec

from app.durable.record import Fields, Numbered, Record, RunStatus, Work
from app.errors import InvalidRequest

MILLIS = 1000

encode_work = msgspec.json.Encoder().encode
_work = msgspec.json.Decoder(Work).decode


def fields_of(reply: Sequence[Any]) -> Mapping[bytes, Any]:
    return dict(zip(reply[::2], reply[1::2], strict=True))


def record_of(fields: Fields) -> Record:
    """Raises msgspec.DecodeError for the work of another version."""
    return Record(
        work=_work(fields[b"work"]),
        owner=fields[b"owner"].decode(),
        agent=fields[b"agent"].decode(),
        status=status_of(fields[b"status"]),
        created_at=_seconds(fields[b"created"]),
        start_at=_seconds(fields[b"start"]),
        started_at=_seconds(fields[b"started"]),
        ended_at=_seconds(fields[b"ended"]),
        priority=int(fields[b"priority"]),
        claims=int(fields[b"claim"]),
        crashes=int(fields[b"crashes"]),
        last_event=int(fields[b"last_event"]),
        kept_event=int(fields[b"kept_event"]),
        steps=int(fields[b"steps"]),
        carried=fields[b"carried"],
        answer=fields[b"answer"],
        error=fields[b"error"],
        cancelling=fields[b"cancelling"] == b"1",
        waiting_since=_seconds(fields.get(b"waiting", b"0")),
        waits_until=_seconds(fields.get(b"until", b"0")),
        waited_seconds=_seconds(fields.get(b"waited", b"0")),
    )


def status_of(word: bytes) -> RunStatus:
    return cast(RunStatus, word.decode())


def cursor_of(text: str) -> tuple[str, str]:
    """The time and the run after which a page begins, as list.lua has them. Raises InvalidRequest."""
    created, _, run_id = text.partition(".")
    if text and not (created.isascii() and created.isdecimal() and run_id):
        raise InvalidRequest("cursor: is no cursor that this service gave. Send the `next` of the page before.")
    return created, run_id


def texts(words: Sequence[bytes]) -> Sequence[str]:
    return [word.decode() for word in words]


def numbered(entries: Sequence[tuple[bytes, Sequence[bytes]]]) -> list[Numbered]:
    """The events of a stream's entries: the id tells the number of the last."""
    found: list[Numbered] = []
    for entry, (_, lines) in entries:
        events = lines.split(b"\n")
        first = int(entry.partition(b"-")[0]) - len(events) + 1
        found += enumerate(events, first)
    return found


def _seconds(millis: bytes) -> float:
    return int(millis) / MILLIS
