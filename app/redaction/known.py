"""Texts in which there is nothing: most are looked at again, for the session, the log or a tool's reader."""

from typing import Final

MAX_CHARS: Final = 65_536
"""Of all texts together."""
_LONGEST: Final = MAX_CHARS // 8


class Known:
    """The last ones. Threads may share it."""

    __slots__ = ("_chars", "texts")

    def __init__(self) -> None:
        self.texts: set[str] = set()
        self._chars = 0

    def add(self, text: str) -> None:
        if len(text) > _LONGEST:
            return
        self._chars += len(text) + 1
        if self._chars > MAX_CHARS:
            self.texts = set()
            self._chars = len(text) + 1
        self.texts.add(text)
