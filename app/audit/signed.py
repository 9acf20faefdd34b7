"""The signed documents that a verification goes by: each is read, and its signature verified."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, TypeVar

import msgspec

from app.audit.chains import Problem
from app.audit.heads import Head, Kept, Trimmed, as_document
from app.audit.record import Link
from app.audit.signing import is_signed
from app.audit.stream import order_of

_T = TypeVar("_T", Head, Trimmed)


class Signed:
    """Heads, anchors and the mark of what is trimmed."""

    def __init__(self, kept: Kept, heads: Iterable[bytes], public_keys: Collection[str]) -> None:
        """`heads` are further ones, as JSON or as lines of the log; what is none is passed over. `public_keys`: those
        that may have signed; none: all may."""
        self._public_keys = frozenset(public_keys)
        self.problems: list[Problem] = []
        """Documents that nobody has signed who may."""
        self.heads: dict[str, dict[Link, Head]] = {}
        """By writer and end of its chain: the last one."""
        self.writers = 0
        """The highest number of writers that a head says."""
        self.last_id = ""
        """The newest record that a head says."""
        self.dropped: dict[str, int] = {}
        for data in (*kept.heads.values(), *heads):
            self._add(data)
        anchors = [self._read(data, Head) for data in kept.anchors.values()]
        self.anchors = {anchor.writer: anchor for anchor in anchors if anchor is not None and anchor.kind == "anchor"}
        self.trimmed = None if kept.trimmed is None else self._read(kept.trimmed, Trimmed)

    def _add(self, data: bytes) -> None:
        head = self._read(data, Head)
        if head is None or head.kind == "anchor":
            return
        known = self.heads.setdefault(head.writer, {})
        if head.link not in known or known[head.link].at < head.at:
            known[head.link] = head
        self.writers = max(self.writers, head.writers)
        if head.last_id and order_of(head.last_id) > order_of(self.last_id or "0"):
            self.last_id = head.last_id
        if head.dropped:
            self.dropped[head.writer] = max(head.dropped, self.dropped.get(head.writer, 0))

    def _read(self, data: bytes, kind: type[_T]) -> _T | None:
        document = as_document(data, kind)
        if document is None:
            return None
        if not is_signed(document):
            self._refuse(document, "has a signature that is not of its key and content")
        elif self._public_keys and document["public_key"] not in self._public_keys:
            self._refuse(document, f"is signed with the key {document['key']}, which is not one of those given")
        else:
            return msgspec.convert(document, kind)
        return None

    def _refuse(self, document: Mapping[str, Any], why: str) -> None:
        what = f"The {document.get('kind', 'mark of what is trimmed')}"
        writer, sequence = document.get("writer", ""), document.get("sequence", 0)
        self.problems.append(Problem("forged", writer, sequence, f"{what} {why}."))
