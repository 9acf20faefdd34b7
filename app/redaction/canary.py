"""Knows an agent's system prompt where it is told: as it stands, with other spaces and marks, reversed, in base64."""

from base64 import b64encode
from typing import NamedTuple

from app.redaction.matching import Found
from app.redaction.redactor import SYSTEM_PROMPT

TELLING = 32
"""Letters and digits in a row that give it away; fewer are anybody's words."""
MAX_BYTES = 8_000
"""Of a prompt that are known again: it takes about 600 bytes of memory a byte."""

_GRAM = 12
_STRIDE = TELLING - _GRAM + 1  # so far apart, one gram at least is within what gives it away
_NO_HITS: list[int] = []
_LETTERS = bytes(byte for byte in range(256) if byte >= 0x80 or chr(byte).isalnum())
_OTHERS = bytes(byte for byte in range(256) if byte not in _LETTERS)
_LOWER = bytes(range(256)).lower()


class Canary:
    """Of one system prompt; `of` makes it."""

    __slots__ = ("_grams",)

    def __init__(self, grams: frozenset[bytes]) -> None:
        self._grams = grams

    @classmethod
    def of(cls, prompt: str) -> "Canary | None":
        """None for a prompt that is too short to be known again."""
        data = prompt.encode("utf-8", "replace")[:MAX_BYTES]
        plain = _compact(data)
        if len(plain) < TELLING:
            return None
        forms = [plain, _compact(data.decode("utf-8", "ignore")[::-1].encode())]
        forms += [_compact(b64encode(data[shift:])) for shift in range(3)]
        return cls(frozenset(form[at : at + _GRAM] for form in forms for at in range(len(form) - _GRAM + 1)))

    def find(self, data: bytes) -> list[Found]:
        """Where the prompt, or part of it, is told."""
        hits = self.hits(data, len(data))
        return self.find_open(data, hits)[0] if hits else []

    def hits(self, data: bytes, fresh: int) -> list[int]:
        """Where in the letters of a text, of which the last `fresh` bytes were not looked at before, words of the
        prompt are."""
        plain, grams = data.translate(_LOWER, _OTHERS), self._grams
        at = len(plain) - _GRAM
        end = at - fresh - TELLING - 1
        if end < -1:
            end = -1
        while at > end and plain[at : at + _GRAM] not in grams:
            at -= _STRIDE
        if at <= end:
            return _NO_HITS
        return [hit for hit in range(at, end, -_STRIDE) if plain[hit : hit + _GRAM] in grams]

    def find_open(self, data: bytes, hits: list[int]) -> tuple[list[Found], int]:
        """What is found around these hits in a text that goes on; and from where on it may be part of the prompt."""
        plain = data.translate(_LOWER, _OTHERS)
        places = [place for place, byte in enumerate(data) if byte in _LETTERS]
        found: list[Found] = []
        open_from, before = len(data), len(plain) + 1
        for hit in hits:
            if hit >= before:
                continue
            start, end = self._run(plain, hit)
            goes_on = end == len(plain)
            if end - start >= TELLING:
                stop = len(data) if goes_on else places[end - 1] + 1
                found.append(Found(places[start], stop, SYSTEM_PROMPT, True, self if goes_on else None))
            elif goes_on:
                open_from = places[start]
            before = start
        return found[::-1], open_from

    def search(self, data: bytes) -> "_End | None":
        """Where what was begun to be told ends; None: it goes on."""
        plain = _compact(data)
        at = len(plain) - _GRAM
        if plain[at:] in self._grams or at < 0:
            return None
        while at >= 0 and plain[at : at + _GRAM] not in self._grams:
            at -= 1
        if at < 0:
            return _End(len(data))
        places = [place for place, byte in enumerate(data) if byte in _LETTERS]
        return _End(places[at + _GRAM - 1] + 1)

    def _run(self, plain: bytes, hit: int) -> tuple[int, int]:
        start, end, grams = hit, hit + _GRAM, self._grams
        while start and plain[start - 1 : start - 1 + _GRAM] in grams:
            start -= 1
        while end < len(plain) and plain[end - _GRAM + 1 : end + 1] in grams:
            end += 1
        return start, end


class _End(NamedTuple):
    """As a match of a pattern."""

    place: int

    def end(self) -> int:
        return self.place


def _compact(data: bytes) -> bytes:
    """Letters and digits alone, small ones for capitals."""
    return data.translate(_LOWER, _OTHERS)
