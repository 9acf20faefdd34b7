"""A text as words and the marks between them. Numbers, code, addresses and emoji stay as they are written."""

import re
import unicodedata

from app.runs import harmless_words as harmless
from app.runs.number_words import CHINESE_MEASURES, CHINESE_NUMBERS

_FOLDED = frozenset({"<wide>", "<narrow>", "<compat>", "<noBreak>"})
"""Kinds of characters that only look different. Not `<super>` and the like: x² is not x2."""

_SPACES = re.compile(r"(\s+)")
_TAIL = re.compile(r"[.,;:!?。]+$")
_WORD = re.compile(r"[^\W\d_]+(?:['-][^\W\d_]+)*")
_NUMBER_AND_UNIT = re.compile(r"(\d+(?:\.\d+)?)([^\d\s.,]+)")
_CHINESE_NUMBER = re.compile(
    rf"(?<![\d零一二两三四五六七八九十百千万第几])([{''.join(CHINESE_NUMBERS)}])(?=[{CHINESE_MEASURES}])"
)
_POLITE_CHINESE = re.compile("^请问(?!候),?")


def fold(text: str) -> str:
    """The text with one form of each character that has several which look alike."""
    if text.isascii():
        return text.replace("\r\n", "\n")
    plain = "".join(
        unicodedata.normalize("NFKC", char) if unicodedata.decomposition(char).split(" ")[0] in _FOLDED else char
        for char in text.replace("\r\n", "\n")
    )
    return unicodedata.normalize("NFC", plain).replace("\u2019", "'")


def is_word(token: str) -> bool:
    """Whether it is letters only; anything else (numbers, code, addresses, emoji) is compared as it is."""
    return _WORD.fullmatch(token) is not None


def split(text: str) -> list[str]:
    text = _POLITE_CHINESE.sub("", text)
    text = _CHINESE_NUMBER.sub(lambda found: CHINESE_NUMBERS[found[1]], text)
    tokens: list[str] = []
    for chunk in _SPACES.split(text):
        if chunk and chunk != " ":
            tokens.extend(_parts(chunk))
    return tokens


def _parts(chunk: str) -> list[str]:
    """A chunk between spaces without the marks around it, which follow."""
    core = chunk.lstrip("¿¡") if is_word(chunk.lstrip("¿¡").rstrip(".,;:!?")) else chunk
    tail = _TAIL.search(core)
    if tail is None:
        found = _NUMBER_AND_UNIT.fullmatch(core)
        return [found[1], found[2]] if found and found[2] in harmless.UNITS else [core]
    before = core[: tail.start()]
    if not before:
        return [f" {core}"]  # by itself, as an operator may be
    if "!" in tail[0] and (len(before) == 1 or not before[-1].isalpha()):
        return [core]  # a factorial
    return [*_parts(before), _mark(tail[0])]


def _mark(tail: str) -> str:
    if len(tail) > 1 and set(tail) <= {"!", "?"}:
        return "?" if "?" in tail else "!"
    return "." if tail == "。" else tail
