"""Copies of a text that rules are matched on: what is sent stays as it is.

Compatibility forms are replaced (NFKC), format characters, accents and case are gone, look-alikes of punctuation are
plain. Linear in the text's length.
"""

import re
from collections.abc import Iterable
from typing import Final
from unicodedata import category, decomposition, normalize

from msgspec import Struct

from app.safety.lookalikes import LOOKALIKES

_MANY: Final = 4096  # replacements, from which on it is faster to look at each character

_LONGEST: Final = "\ufdfa"
"""The one character whose compatibility form has 18."""

_PUNCTUATION: Final = {
    **dict.fromkeys("“”„‟«»‹›〝〞「」『』【】《》〈〉〔〕", '"'),
    **dict.fromkeys("‐‑‒–—―−‧·•・", "-"),
    **dict.fromkeys("。｡।॥۔", "."),
    **dict.fromkeys("、،", ","),
    **dict.fromkeys("‘’‚‛`´ʼʹ؟¿¡；؛", "'"),
    "\u2028": "\n",
    "\u2029": "\n",
}


def _foldings() -> dict[str, str]:
    """What single characters, lower case, become. Only Latin, Greek and Arabic lose their marks: others are letters."""
    folded = {}
    for code in (*range(0xC0, 0x250), *range(0x1E00, 0x2000)):
        parts = decomposition(chr(code)).split()
        while parts and not parts[0].startswith("<") and len(parts) > 1:
            folded[chr(code)] = chr(int(parts[0], 16))
            parts = decomposition(folded[chr(code)]).split()
    marks = [chr(code) for code in (*range(0x300, 0x370), *range(0x64B, 0x660), 0x640, *range(0xFE00, 0xFE10))]
    formats = [chr(code) for code in (*range(0x80, 0x10000), *range(0xE0000, 0xE01F0)) if category(chr(code)) == "Cf"]
    fillers = ["\u115f", "\u1160", "\u3164", "\u034f", "\u180b", "\u180c", "\u180d"]
    extra = {"ø": "o", "đ": "d", "ł": "l", "ı": "i", "ß": "ss", "æ": "ae", "œ": "oe", "أ": "ا", "إ": "ا", "آ": "ا"}
    return {**folded, **dict.fromkeys([*marks, *formats, *fillers], ""), **extra, **_PUNCTUATION}


_FOLDED: Final = _foldings()
_TABLE: Final = str.maketrans(_FOLDED)


def _any_of(characters: Iterable[str]) -> re.Pattern[str]:
    """Those beyond the first plane as ranges: `re` looks for single ones of them one by one."""
    ordered = sorted(characters)
    plane = re.escape("".join(each for each in ordered if each <= "\uffff"))
    ranges = ""
    for each in ordered:
        if each > "\uffff":
            next_to = ranges and ord(ranges[-1]) == ord(each) - 1
            ranges = f"{ranges[:-1]}{each}" if next_to else f"{ranges}{each}-{each}"
    return re.compile(f"[{plane}{ranges}]")


_TO_FOLD: Final = _any_of(_FOLDED)
_LOOKALIKE: Final = _any_of(LOOKALIKES)
_LATIN: Final = re.compile("[a-zᴀ-ᴢ\U0001f170-\U0001f189]")
_LOOKALIKES: Final = str.maketrans(LOOKALIKES)
_APART: Final = bytes(code if code >= 0x80 or chr(code).isalnum() else 0x20 for code in range(256))


class Copy(Struct, frozen=True, gc=False):
    """UTF-8. `words` has letters and digits alone, one space between words and one at each end."""

    text: bytes
    words: bytes


def fold(text: str) -> str:
    """Lower case, without accents and without what is not seen."""
    if text.isascii():
        return text.lower()
    text = normalize("NFKC", text.replace(_LONGEST, "")).lower()
    folded, count = _TO_FOLD.subn(_replacement, text, count=_MANY)
    return folded if count < _MANY else text.translate(_TABLE)


def _replacement(match: re.Match[str]) -> str:
    return _FOLDED[match[0]]


def copies(text: str) -> list[Copy]:
    """One, and where letters of another alphabet may stand for Latin ones a second with these."""
    folded = fold(text)
    made = [_copy(folded)]
    if not folded.isascii() and _LOOKALIKE.search(folded) and _LATIN.search(folded):
        made.append(_copy(folded.translate(_LOOKALIKES)))
    return made


def _copy(folded: str) -> Copy:
    data = folded.encode("utf-8", "replace")
    words = b" ".join(data.translate(_APART, b"'`").split())
    return Copy(data, b" %b " % words)
