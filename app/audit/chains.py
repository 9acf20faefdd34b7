"""Chains: whether records follow each other as their writers wrote them. Memory is bounded by the number of writers."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

from msgspec import Struct

from app.audit.canonical import digest
from app.audit.record import BEGIN, Link, Record, decode
from app.audit.stream import TOLERANCE_MS, Stored, order_of

Kind = Literal[
    "unreadable",
    "edited",
    "missing",
    "unanchored",
    "fork",
    "reordered",
    "moved",
    "cut",
    "gone",
    "rewritten",
    "writers",
    "forged",
]


class Problem(Struct, frozen=True):
    """What does not hold together, and where."""

    kind: Kind
    writer: str
    sequence: int
    detail: str


class Found(NamedTuple):
    """What a record says: its writer, empty if it cannot be read; its place in the chain; what is wrong with it."""

    writer: str
    link: Link
    problems: list[Problem]


class Chains:
    """Takes records in the order of the stream."""

    def __init__(self, anchors: Mapping[str, Link]) -> None:
        """`anchors`: where the chains of writers begin whose first records were trimmed."""
        self._anchors = anchors
        self.ends: dict[str, Link] = {}
        self.last_id = ""
        self._gaps: dict[str, list[tuple[int, int]]] = {}

    def add(self, stored: Stored) -> Found:
        self.last_id = stored.id
        try:
            record = decode(stored.data)
        except ValueError:
            return Found("", BEGIN, [Problem("unreadable", "", 0, f"The entry {stored.id} is not a record.")])
        link = Link(record.sequence, digest(stored.data))
        problems = self._problems(stored, record, link)
        end = self.ends.get(record.writer)
        if end is None or record.sequence > end.sequence:
            self.ends[record.writer] = link
        return Found(record.writer, link, problems)

    def _problems(self, stored: Stored, record: Record, link: Link) -> list[Problem]:
        found: list[Problem] = []

        def tell(kind: Kind, detail: str) -> None:
            found.append(Problem(kind, record.writer, record.sequence, detail))

        if link.hash != stored.hash:
            tell("edited", f"The record {stored.id} is not what it was: its hash is another one.")
        if record.at > order_of(stored.id)[0] + TOLERANCE_MS:
            tell("moved", f"The record {stored.id} says a later time than its id.")
        end = self.ends.get(record.writer)
        before = end or self._anchors.get(record.writer, BEGIN)
        if record.sequence <= before.sequence:
            if any(first <= record.sequence <= last for first, last in self._gaps.get(record.writer, ())):
                tell("reordered", f"The record {stored.id} stands behind one that was written after it.")
            else:
                tell("fork", f"The record {stored.id} is another one with this number.")
        elif record.sequence > before.sequence + 1:
            gap = before.sequence + 1, record.sequence - 1
            self._gaps.setdefault(record.writer, []).append(gap)
            tell(
                "missing" if end else "unanchored", f"The records {gap[0]} to {gap[1]} before {stored.id} are missing."
            )
        elif record.previous != before.hash:
            tell("edited", f"The record {stored.id} does not continue the one before it: one of the two was changed.")
        return found
