"""Signed heads: what the end of a chain was at a time, kept outside of the stream."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import Struct

from app.audit.keys import ANCHORS, HEADS, TRIMMED
from app.audit.record import Link
from app.state.store import Store


class Head(Struct, frozen=True):
    """The end of a writer's chain, signed. `anchor`: the end of what of it was trimmed."""

    kind: Literal["head", "final", "anchor"]
    writer: str
    sequence: int
    hash: str
    at: int
    """Milliseconds since the epoch, by the store's clock."""
    writers: int
    """How many there ever were."""
    last_id: str
    """Of the newest record in the stream, of any writer."""
    dropped: int
    """Entries of the writer that the store never got; the log has them."""
    breaks: int
    """Of an anchor: places where what was trimmed did not hold together."""
    key: str
    """The beginning of the SHA-256 of the public key."""
    public_key: str
    signature: str

    @property
    def link(self) -> Link:
        return Link(self.sequence, self.hash)


class Trimmed(Struct, frozen=True):
    """The mark up to which the stream has been trimmed, signed."""

    until: str
    """Id of the last record that is gone."""
    at: int
    removed: int
    """Writers of which nothing is left."""
    key: str
    public_key: str
    signature: str


NAMES = {kind: frozenset(kind.__struct_fields__) for kind in (Head, Trimmed)}


class Kept(NamedTuple):
    """What the store has beside the stream, as JSON."""

    heads: Mapping[str, bytes]
    anchors: Mapping[str, bytes]
    trimmed: bytes | None


async def read_kept(store: Store) -> Kept:
    """Raises StateUnavailable."""
    replies = [store.call("HGETALL", HEADS), store.call("HGETALL", ANCHORS), store.call("GET", TRIMMED)]
    heads, anchors, trimmed = [await reply for reply in replies]
    return Kept(by_writer(heads), by_writer(anchors), trimmed)


def parse_head(data: bytes) -> Head | None:
    """A head, by itself or as the line of the log that has it; None for all else. Not verified."""
    document = as_document(data, Head)
    return None if document is None else msgspec.convert(document, Head)


def as_document(data: bytes, kind: type[Head] | type[Trimmed]) -> Mapping[str, Any] | None:
    """The fields of a signed document, without those that the log adds; None for what is no such document."""
    try:
        found = msgspec.json.decode(data, type=dict[str, Any])
        document = {name: found[name] for name in NAMES[kind]}
        msgspec.convert(document, kind)
    except (ValueError, KeyError):
        return None
    return document


def by_writer(pairs: list[bytes]) -> dict[str, bytes]:
    """The reply of HGETALL."""
    return dict(zip((name.decode("utf-8", "replace") for name in pairs[::2]), pairs[1::2], strict=True))
