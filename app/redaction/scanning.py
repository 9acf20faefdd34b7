"""One scan of a text that is a `str`: positions in characters, counted finds, and nothing leaves if the scan fails."""

from collections.abc import Callable, Collection, Sequence

from app.errors import GuardUnavailable
from app.redaction.canary import Canary
from app.redaction.matching import Found
from app.redaction.overlaps import merged
from app.redaction.scanner import Scanner

Failed = Callable[[], None]
"""Told of a scan that broke."""


class Scanning:
    """What filters and whole texts have in common. Every method raises GuardUnavailable where the scan broke."""

    __slots__ = ("_beginnings", "_canary", "_failed", "_hits", "_markers", "_scanner", "count")

    def __init__(
        self,
        scanner: Scanner,
        markers: tuple[str, ...],
        count: Callable[[str], None],
        failed: Failed,
        canary: Canary | None = None,
    ) -> None:
        self._scanner = scanner
        self._markers = tuple([marker for marker in markers if len(marker) > 2])
        self._beginnings = frozenset(marker[:size] for marker in markers for size in range(1, len(marker) + 1))
        self.count = count
        self._failed = failed
        self._canary = canary
        self._hits = _no_hits if canary is None else canary.hits

    def guarding(self, canary: Canary | None) -> "Scanning":
        """The same, with another canary."""
        return Scanning(self._scanner, self._markers, self.count, self._failed, canary)

    def whole(self, text: str) -> list[Found]:
        try:
            data = text.encode("utf-8", "surrogatepass")
            found = self._scanner.find(data)
            if self._canary is not None and (told := self._canary.find(data)):
                found = merged([*found, *told])
            return found and _in_chars(text, data, found)
        except Exception as error:
            raise self._broken() from error

    def open(self, text: str, left: int, fresh: int) -> tuple[list[Found], int]:
        """Of a text that goes on, of which `left` characters have left, and the last `fresh` ones were not looked at
        before: what is in it, and from where on it may be part of something."""
        try:
            data = text.encode("utf-8", "surrogatepass")
            numbers = self._scanner.candidates(data)
            hits = self._hits(data, fresh if len(text) == len(data) else 4 * fresh)
            if not (numbers or hits):  # as almost always
                return _NOTHING, len(text)
            return self._open(text, data, numbers, hits, left)
        except Exception as error:
            raise self._broken() from error

    def _open(
        self, text: str, data: bytes, numbers: Collection[int] | None, hits: list[int], left: int
    ) -> tuple[list[Found], int]:
        found, open_from = self._scanner.find_open(data, numbers, max(0, left - 8)) if numbers else ([], len(data))
        if hits and self._canary is not None:
            told, heard_from = self._canary.find_open(data, hits)
            if told:
                found = merged([*found, *told])
            open_from = min(open_from, heard_from)
        return found and _in_chars(text, data, found), _char(text, data, open_from)

    def holds(self, data: bytes) -> bool:
        try:
            return bool(self._scanner.find(data))
        except Exception as error:
            raise self._broken() from error

    def begun(self, text: str, left: int) -> Found | None:
        try:
            data = text.encode("utf-8", "surrogatepass")
            begun = self._scanner.begun(data)
            if begun is None:
                return None
            start, kind = begun
            return Found(max(left, _char(text, data, start)), len(text), kind, True)
        except Exception as error:
            raise self._broken() from error

    def begins(self, word: str) -> bool:
        """Whether a secret may begin with these letters."""
        known = self._beginnings
        return (
            word.isupper() or word in known or (len(word) < 5 and word[:2] in known) or word.startswith(self._markers)
        )

    def _broken(self) -> GuardUnavailable:
        self._failed()
        return GuardUnavailable()


def _no_hits(_data: bytes, _fresh: int) -> list[int]:
    """Without a prompt to guard."""
    return _NO_HITS


_NO_HITS: list[int] = []
_NOTHING: list[Found] = []
_CONTINUING = bytes(range(0x80, 0xC0))  # in UTF-8


def _char(text: str, data: bytes, place: int) -> int:
    return place if len(text) == len(data) else len(data[:place].translate(None, _CONTINUING))


def _in_chars(text: str, data: bytes, found: Sequence[Found]) -> list[Found]:
    """With the places in characters: one that is cut is taken out as a whole."""
    if len(text) == len(data):
        return list(found)
    return [
        each._replace(start=_char(text, data, _begin(data, each.start)), end=_char(text, data, each.end))
        for each in found
    ]


def _begin(data: bytes, start: int) -> int:
    while start and data[start] & 0xC0 == 0x80:
        start -= 1
    return start
