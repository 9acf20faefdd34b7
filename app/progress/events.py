"""A run's events as its stream has them: server-sent events with a number, a name and JSON."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

LAST = frozenset({"run.finished", "run.failed"})


class Event(Struct, frozen=True):
    id: int
    name: str
    data: Mapping[str, Any]


async def read_events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Event]:
    """Cuts a stream into its events. What has no number, such as comments and the end mark, is passed over; so is an
    event that the stream broke off in."""
    buffer = b""
    async for chunk in chunks:
        *whole, buffer = (buffer + chunk).split(b"\n\n")
        for block in whole:
            if (event := _event(block)) is not None:
                yield event


def _event(block: bytes) -> Event | None:
    fields = {}
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        fields[name] = value.removeprefix(b" ")
    number = fields.get(b"id", b"")
    if not number.isdigit():
        return None
    try:
        data = msgspec.json.decode(fields.get(b"data", b""), type=dict[str, Any])
    except (msgspec.DecodeError, msgspec.ValidationError):
        data = {}
    return Event(int(number), fields.get(b"event", b"").decode(errors="replace"), data)
