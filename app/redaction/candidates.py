"""Which of many patterns occur in a text, by one scan of it.

Hyperscan is the fastest, and needs seconds of CPU to compile patterns; RE2 needs a fiftieth of that. So, where nothing
was compiled on this machine before, RE2 does it until a process has scanned so much that Hyperscan pays, which is then
compiled in a thread. Where only one of the two can be imported, that one does it all.
"""

import os
import threading
from collections.abc import Callable, Collection
from functools import cache
from typing import Any

from app.errors import ConfigurationError

Candidates = Callable[[bytes], Collection[int] | None]
"""The numbers of the patterns that occur in a text; None, or none, if there are none."""

Stays = Callable[[str], None]
"""Told why RE2 goes on, where Hyperscan was to take over."""

HYPERSCAN_AFTER = 5_000
"""Scans of a process."""
_RE2_BYTES = 64 << 20  # at most, for what RE2 keeps of what it has seen
_LOWEST_PRIORITY = 19


def unheard(_: str) -> None:
    """For callers that do not care which of the two scans."""


def candidates_of(patterns: tuple[str, ...], stays: Stays = unheard) -> Candidates:
    """For patterns that RE2 has read, if there is RE2. Raises ConfigurationError for one that Hyperscan does not read,
    if not."""
    try:
        import re2  # type: ignore[import-untyped]  # noqa: F401 - by_re2 needs it
    except ImportError:
        return _checked_by_hyperscan(patterns)
    database = _kept(patterns)
    return Growing(patterns, stays=stays) if database is None else _scanning(database)


def _kept(patterns: tuple[str, ...]) -> Any:
    """Hyperscan's database, where that costs nothing; else None."""
    try:
        from app.patterns.database import kept
    except ImportError:
        return None
    return kept(_encoded(patterns))


def _encoded(patterns: tuple[str, ...]) -> list[bytes]:
    return [pattern.encode() for pattern in patterns]


def _checked_by_hyperscan(patterns: tuple[str, ...]) -> Candidates:
    import hyperscan

    try:
        return by_hyperscan(patterns)
    except hyperscan.error as error:
        for pattern in patterns:
            try:
                _database((pattern,))
            except hyperscan.error:
                raise ConfigurationError(
                    f"A redaction rule cannot be used: Hyperscan does not read {pattern!r}. Correct it in its file."
                ) from None
        raise ConfigurationError(f"The redaction rules cannot be used together: {error}.") from None


class Growing:
    """By RE2 first, by Hyperscan later: a callable like both."""

    def __init__(self, patterns: tuple[str, ...], after: int = HYPERSCAN_AFTER, stays: Stays = unheard) -> None:
        self._patterns = patterns
        self._stays = stays
        self._left = after
        self._by = by_re2(patterns)
        self._counts = True

    def __call__(self, data: bytes) -> Collection[int] | None:
        if self._counts:
            self._left -= 1
            if self._left < 0:
                self._counts = False
                threading.Thread(target=self.grow, name="hyperscan", daemon=True).start()
        return self._by(data)

    def grow(self) -> None:
        """Scan by Hyperscan from now on, unless it cannot be imported or does not read a pattern: `stays` is told."""
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _LOWEST_PRIORITY)  # of the thread, on Linux
            self._by = by_hyperscan(self._patterns)
        except Exception as error:  # noqa: BLE001 - RE2 goes on
            self._stays(f"{type(error).__name__}: {error}")


def by_re2(patterns: tuple[str, ...]) -> Candidates:
    import re2

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = _RE2_BYTES
    known = re2.Set.SearchSet(options)
    for pattern in patterns:
        known.Add(pattern.encode())
    known.Compile()
    candidates: Candidates = known.Match
    return candidates


@cache
def _database(patterns: tuple[str, ...]) -> Any:
    from app.patterns.database import database

    return database(_encoded(patterns))


def by_hyperscan(patterns: tuple[str, ...]) -> Candidates:
    """Raises hyperscan.error for a pattern that it does not read."""
    return _scanning(_database(patterns))


def _scanning(database: Any) -> Candidates:
    import hyperscan

    own = threading.local()  # two scans at once must not share their scratch space

    def note(number: int, _start: int, _end: int, _flags: int, numbers: set[int]) -> None:
        numbers.add(number)

    def candidates(data: bytes) -> set[int]:
        try:
            scratch = own.scratch
        except AttributeError:
            scratch = own.scratch = hyperscan.Scratch(database)
        numbers: set[int] = set()
        database.scan(data, note, 0, numbers, scratch)  # by name they cost half as much again
        return numbers

    return candidates
