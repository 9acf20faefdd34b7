"""The record in the store: appended to by one script, read in pages."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal, NamedTuple

from app.audit.keys import ANCHORS, HEADS, STREAM, TRIMMED, WRITERS
from app.audit.record import Link, Sealed
from app.audit.scripts import APPEND_RECORDS
from app.settings.kinds import DAY
from app.state.store import Script, Store

TOLERANCE_MS = 5_000
"""By how much the time in a record may differ from the store's clock as it arrives."""
PAGE = 500


class Appended(NamedTuple):
    outcome: Literal["added", "there", "clock", "gap", "fork"]
    now: int
    """The store's clock in milliseconds."""
    last: Link
    """The writer's last record that was there before."""


class Stored(NamedTuple):
    """A record as it stands in the stream."""

    id: str
    data: bytes
    hash: str


class Stream:
    """What writers append to, and what is verified."""

    def __init__(self, store: Store, days: float = 0) -> None:
        """`days`: how long records are kept."""
        self.store = store
        self.days = days
        self.seconds = round(days * DAY) + DAY
        """After which all of it goes that no process signs heads of any more."""
        self._append = Script(store, APPEND_RECORDS)

    async def append(self, writer: str, records: Sequence[Sealed], at: int, *, gap: bool = False) -> Appended:
        """Add records that follow each other, in one round trip. Raises StateUnavailable, after which they may be there
        all the same."""
        parts = [part for record in records for part in (record.data, record.hash)]
        appended: Appended = await self._append(
            (STREAM, WRITERS),
            writer,
            records[0].sequence,
            at,
            TOLERANCE_MS,
            "1" if gap else "",
            self.seconds,
            *parts,
            read=_appended,
        )
        return appended

    def keep(self) -> None:
        """Have it live on."""
        for key in (STREAM, WRITERS, HEADS, ANCHORS, TRIMMED):
            self.store.call("EXPIRE", key, self.seconds)

    async def pages(self, first: str = "-", last: str = "+") -> AsyncIterator[list[Stored]]:
        """The records from one id to another, both included, at most PAGE at once. Raises StateUnavailable."""
        start = first
        while found := await self.store.call("XRANGE", STREAM, start, last, "COUNT", PAGE):
            yield [_stored(each) for each in found]
            if len(found) < PAGE:
                return
            start = f"({found[-1][0].decode()}"

    async def last_id(self) -> str:
        """Of the newest record; empty where there is none. Raises StateUnavailable."""
        found = await self.store.call("XREVRANGE", STREAM, "+", "-", "COUNT", 1)
        return found[0][0].decode() if found else ""


def order_of(record_id: str) -> tuple[int, int]:
    """An id of the stream, such that ids can be compared. Raises ValueError for what is none."""
    milliseconds, _, number = record_id.partition("-")
    return int(milliseconds), int(number or 0)


def _appended(reply: Any) -> Appended:
    outcome, now, last, found = (part.decode() for part in reply)
    return Appended(outcome, int(now), Link(int(last), found))


def _stored(found: Any) -> Stored:
    record_id, parts = found
    fields = dict(zip(parts[::2], parts[1::2], strict=False))
    return Stored(record_id.decode(), fields.get(b"r", b""), fields.get(b"h", b"").decode("ascii", "replace"))
