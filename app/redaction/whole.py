"""Takes secrets out of a text that nobody reads before its end: it is looked at once, as a whole."""

from collections.abc import Callable

from app.redaction.redactor import TextFilter


class Whole:
    """A TextFilter that holds all back. What is cut, or continues another text, is looked at as if it were read."""

    __slots__ = ("_before", "_clean", "_filter", "_pieces", "redacted")

    def __init__(self, clean: Callable[[str], str], make: Callable[[str], TextFilter], before: str = "") -> None:
        """`clean` is for a whole text; `make` makes a filter for one that is read, after `before`."""
        self.redacted = False
        self._clean = clean
        self._filter = make
        self._before = before
        self._pieces: list[str] = []

    def feed(self, text: str) -> str:
        self._pieces.append(text)
        return ""

    def end(self, *, cut: bool = False) -> str:
        text = "".join(self._pieces)
        self._pieces.clear()
        if self._before or cut:
            return self._end_as_read(text, cut=cut)
        said = self._clean(text)
        self.redacted = said is not text
        return said

    def _end_as_read(self, text: str, *, cut: bool) -> str:
        read = self._filter(self._before)
        said = read.feed(text)
        said += read.end(cut=cut)
        self.redacted = read.redacted
        return said
