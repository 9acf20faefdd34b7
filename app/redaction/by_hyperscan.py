"""Patterns by Hyperscan alone, where there is no RE2: with the few methods that are used of RE2's.

Hyperscan knows no groups: what a group would tell apart is taken out as well, and cannot be checked by itself.
"""

import re
from functools import cached_property
from typing import Any

import hyperscan

_GROUP = re.compile(r"(?<!\\)\((?!\?)")
_WORD = bytes(range(0x21, 0x7F))


class Match:
    """As RE2's."""

    def __init__(self, start: int, end: int) -> None:
        self._span = start, end

    def span(self, _group: int = 0) -> tuple[int, int]:
        return self._span

    def start(self, _group: int = 0) -> int:
        return self._span[0]

    def end(self) -> int:
        return self._span[1]


class Regex:
    """One pattern. It is compiled when it is first needed: few ever are."""

    groups = 0

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern.encode()
        self.grouped = _GROUP.search(pattern) is not None
        self._knows_start = True

    @cached_property
    def _database(self) -> Any:
        database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
        try:
            database.compile(expressions=[self._pattern], flags=hyperscan.HS_FLAG_SOM_LEFTMOST)
        except hyperscan.error:  # too large for it to keep where they begin
            self._knows_start = False
            database.compile(expressions=[self._pattern], flags=0)
        return database

    def _matches(self, data: bytes) -> dict[int, int]:
        """By where they begin, the last place where they end."""
        ends: dict[int, int] = {}

        def note(_number: int, start: int, end: int, _flags: int, _context: object) -> None:
            if not self._knows_start:
                start = len(data[:end].rstrip(_WORD))
            ends[start] = max(end, ends.get(start, 0))

        database = self._database
        database.scan(data, note)
        return ends

    def search(self, data: bytes, at: int = 0) -> Match | None:
        """The first that begins there or later, as long as it can be."""
        spans = [span for span in self._matches(data).items() if span[0] >= at]
        return Match(*min(spans)) if spans else None

    def fullmatch(self, data: bytes, at: int, end: int) -> Match | None:
        return Match(at, end) if self._matches(data[:end]).get(at) == end else None
