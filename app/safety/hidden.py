"""Texts within a text: what is encoded, spelled with other characters, reversed or spaced out.

Each form has patterns that tell that it may be there. They are looked for together with the rules: a text without any
costs nothing. What is found is bounded, and so is the work.
"""

import re
from base64 import b64decode
from binascii import Error
from collections.abc import Callable, Iterator, Mapping
from html import unescape
from typing import Final, NamedTuple
from urllib.parse import unquote

from app.safety.copies import fold

MAX_CHARS: Final = 65_536
"""How much of a text is decoded."""
_SEGMENTS: Final = 64

_WORDS: Final = """
    ignore disregard forget override bypass previous prior above earlier instructions instruction guidelines rules
    prompt system message reveal repeat unfiltered uncensored restrictions jailbreak developer mode pretend respond
    without answer anything illegal ethical
""".split()  # noqa: SIM905 - easier to read and to add to
_TELLING: Final = ("ignore", "disregard", "instructions", "previous", "restrictions", "unfiltered", "jailbreak")
"""Words that make it worth a look whether a whole text is reversed or shifted."""

_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}(?:\s+[A-Za-z0-9+/_-]{16,}={0,2})*")
_HEX: Final = re.compile(r"(?:(?:0x|\\x)?[0-9A-Fa-f]{2}[\s:,]?){8,}")
_BINARY: Final = re.compile(r"(?:[01]{8}\s?){8,}")
_ESCAPES: Final = re.compile(r"\\u\{?([0-9A-Fa-f]{4,6})\}?")
_SPACED: Final = re.compile(r"(?<![^\W_])[^\W\d_](?:[ .\-_*|/][^\W\d_]){3,}(?![^\W_])")
_RUN: Final = re.compile(r"[^\W\d_]{12,}")
_SPLIT: Final = re.compile("|".join(sorted(_WORDS, key=len, reverse=True)))
_LEET: Final = str.maketrans("013457@$!|+", "oieastasilt")
_ROT13: Final = str.maketrans("abcdefghijklmnopqrstuvwxyz", "nopqrstuvwxyzabcdefghijklm")
_FROM_URL_SAFE: Final = {**dict.fromkeys(map(ord, " \t\r\n")), ord("-"): "+", ord("_"): "/"}
_TAG_BASE: Final = 0xE0000
_TAGS: Final = re.compile("[\U000e0020-\U000e007e]")


def _base64(text: str) -> Iterator[str]:
    for segment in _limited(_BASE64, text):
        data = segment.translate(_FROM_URL_SAFE).rstrip("=")
        data = data[:-1] if len(data) % 4 == 1 else data
        try:
            yield _read(b64decode(data + "=" * (-len(data) % 4)))
        except Error:
            continue


def _hex(text: str) -> Iterator[str]:
    for segment in _limited(_HEX, text):
        digits = re.sub(r"0x|\\x|[\s:,]", "", segment)
        yield _read(bytes.fromhex(digits[: len(digits) & ~1]))


def _binary(text: str) -> Iterator[str]:
    for segment in _limited(_BINARY, text):
        yield _read(bytes(int(octet, 2) for octet in re.findall(r"[01]{8}", segment)))


def _escaped(text: str) -> Iterator[str]:
    yield unescape(unquote(_ESCAPES.sub(lambda found: chr(min(int(found[1], 16), 0x10FFFF)), text[:MAX_CHARS])))


def _tags(text: str) -> Iterator[str]:
    """ASCII that is written in characters which nobody sees."""
    yield "".join(chr(ord(char) - _TAG_BASE) for char in _TAGS.findall(text)[:MAX_CHARS])


def _reversed(text: str) -> Iterator[str]:
    yield text[:MAX_CHARS][::-1]
    yield " ".join(word[::-1] for word in text[:MAX_CHARS].split())


def _shifted(text: str) -> Iterator[str]:
    yield fold(text[:MAX_CHARS]).translate(_ROT13)


def _leet(text: str) -> Iterator[str]:
    yield fold(text[:MAX_CHARS]).translate(_LEET)


def _spaced(text: str) -> Iterator[str]:
    """Two spaces or more are between words; where there is one alone, known words are looked for."""
    joined = _SPACED.sub(lambda found: found[0][::2], fold(text[:MAX_CHARS]))
    yield _RUN.sub(lambda run: _SPLIT.sub(r" \g<0> ", run[0]), joined)


def _limited(pattern: re.Pattern[str], text: str) -> Iterator[str]:
    for number, match in enumerate(pattern.finditer(text[:MAX_CHARS])):
        if number == _SEGMENTS:
            return
        yield match[0]


def _read(data: bytes) -> str:
    """Empty for what is no text."""
    text = data.decode("utf-8", "ignore")
    plain = sum(map(str.isprintable, text)) + text.count("\n")
    return text if len(text) * 10 >= len(data) * 8 and plain * 10 >= len(text) * 9 else ""


class Form(NamedTuple):
    """Patterns are of a copy's `text`, in hyperscan's syntax."""

    patterns: tuple[str, ...]
    reveal: Callable[[str], Iterator[str]]


FORMS: Final[Mapping[str, Form]] = {
    "base64": Form((r"[a-z0-9+/_\-]{24}",), _base64),
    "hex": Form((r"[0-9a-f]{20}", r"(?:(?:0x|\\x)?[0-9a-f]{2}[\s:,]){10}", r"(?:\\x[0-9a-f]{2}){8}"), _hex),
    "binary": Form((r"(?:[01]{8}\s?){8}",), _binary),
    "escaped": Form(
        (r"(?:%[0-9a-f]{2}){3}", r"%20.{1,24}%20", r"(?:&#x?[0-9a-f]{2,4};){3}", r"(?:\\u\{?[0-9a-f]{4}\}?){3}"),
        _escaped,
    ),
    "reversed": Form(tuple(word[::-1] for word in _TELLING), _reversed),
    "shifted": Form(tuple(word.translate(_ROT13) for word in _TELLING), _shifted),
    "leet": Form((r"[a-z][013457@$!][a-z0-9]", r"[013457@$!][a-z][013457@$!][a-z]"), _leet),
    "spaced": Form((r"(?:[a-z][ .\-_*|/]){5}[a-z]",), _spaced),
}
"""Tags are not among them: a copy is without them."""


def tags(text: str) -> str:
    """What is written in tag characters (U+E0000 on)."""
    return "" if text.isascii() or _TAGS.search(text) is None else next(_tags(text))
