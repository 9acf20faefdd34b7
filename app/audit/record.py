"""An entry as it is kept: numbered, dated by the store's clock, and chained to the one before."""

from typing import NamedTuple

import msgspec
from msgspec import Struct
from msgspec.structs import asdict

from app.audit.canonical import canonical, digest
from app.audit.entry import Entry


class Link(NamedTuple):
    """The end of a writer's chain."""

    sequence: int
    hash: str


BEGIN = Link(0, "0" * 64)
"""Before the first record of a writer."""


class Record(Struct, frozen=True, forbid_unknown_fields=True):
    writer: str
    sequence: int
    at: int
    """Milliseconds since the epoch, by the store's clock."""
    previous: str
    """Hash of the writer's record before."""
    entry: Entry


class Sealed(NamedTuple):
    """A record's canonical JSON and its hash."""

    sequence: int
    data: bytes
    hash: str


_decode = msgspec.json.Decoder(Record).decode


def seal(entry: Entry, writer: str, at: int, before: Link) -> Sealed:
    """The record that continues the chain of `writer` behind `before`."""
    said = {name: value for name, value in asdict(entry).items() if value != _DEFAULTS.get(name)}
    record = {"writer": writer, "sequence": before.sequence + 1, "at": at, "previous": before.hash, "entry": said}
    data = canonical(record)
    return Sealed(before.sequence + 1, data, digest(data))


def decode(data: bytes) -> Record:
    """Raises ValueError for what is no record."""
    return _decode(data)


_DEFAULTS = dict(zip(reversed(Entry.__struct_fields__), reversed(Entry.__struct_defaults__), strict=False))
