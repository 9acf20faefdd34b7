"""The writer of a process: numbers entries, and appends those of one moment to the stream in one round trip."""

from collections import deque
from collections.abc import Sequence
from time import monotonic, time

from app.audit.entry import Entry
from app.audit.record import BEGIN, Link, Sealed, seal
from app.audit.stream import Stream
from app.ids import new_id
from app.telemetry.guard_errors import guard_failed

KEPT = 1_000
"""Records that are remembered after they were appended: a store that has lost its last moments gets them again."""


class Writer:
    """One chain. What may not have arrived is sent again before anything else is."""

    def __init__(self, stream: Stream) -> None:
        self.stream = stream
        self.name = new_id()
        self.end: Link = BEGIN
        """Of what the store has taken."""
        self._offset = round(time() * 1000) - _ticks()  # to the store's clock, as far as it is known
        self._unsure: Sequence[Entry] = ()
        self._sealed: list[Sealed] = []
        self._at = 0
        self._kept: deque[Sealed] = deque(maxlen=KEPT)

    @property
    def now(self) -> int:
        """The store's clock in milliseconds, as far as it is known."""
        return self._offset + _ticks()

    @property
    def unsure(self) -> int:
        """Number of entries that were sent and may not have arrived."""
        return len(self._unsure)

    async def append(self, entries: Sequence[Entry]) -> None:
        """Return when the entries are in the store. Raises StateUnavailable: they are unsure then, and to be settled
        before others are appended."""
        self._unsure = entries
        self._seal()
        await self.settle()

    async def settle(self) -> None:
        """Return when what was unsure is in the store. Raises StateUnavailable."""
        again: list[Sealed] = []
        while self._unsure:
            appended = await self.stream.append(self.name, again + self._sealed, self._at, gap=bool(again))
            self._offset = appended.now - _ticks()
            match appended.outcome:
                case "gap":
                    again = [record for record in self._kept if record.sequence > appended.last.sequence]
                case "clock":
                    self._seal()
                case "fork":  # somebody else wrote in this writer's name: it takes another one
                    guard_failed("audit", "fork")
                    self.name, self.end, again = new_id(), BEGIN, []
                    self._kept.clear()
                    self._seal()
                case "added" | "there":
                    self._arrived()

    def _seal(self) -> None:
        self._at, end, self._sealed = self.now, self.end, []
        for entry in self._unsure:
            self._sealed.append(seal(entry, self.name, self._at, end))
            end = Link(*self._sealed[-1][::2])

    def _arrived(self) -> None:
        self._kept.extend(self._sealed)
        self.end = Link(*self._sealed[-1][::2])
        self._unsure, self._sealed = (), []


def _ticks() -> int:
    return int(monotonic() * 1000)
