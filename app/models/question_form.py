# ruff: noqa: RUF001 - these signs are looked for
"""What a question looks like: code, formulas, sums, numbers, quotations, lists, scripts. Where a pattern can be tried
from every place of a text, its parts are bounded."""

import re

SEEN_CHARS = 1_500, 500
"""Of a long text: what is read of its begin, and of its end."""
LEAD_CHARS = 200
"""Within which an instruction stands, before and after a long text."""
LONG_CHARS = 300
"""From which on a text can be material with an instruction beside it."""

_CODE_SIGNS = frozenset("`;{}()=<>@#")
_CODE = re.compile(
    r"```|[;{][ \t]{0,9}$|^[ \t]{0,40}[}@]\S|#include\b|=>|</\w|\w\.\w{1,40}\(\S?|\w\([\w, =]{0,80}\)[ \t]?[{;]"
    r"|^[ \t]{0,40}(?:def|fn|func|function)[ \t]\w{1,60}[ \t]?\(|^from [\w.]{1,80} import\b|^import [\w.]{1,80};?$"
    r"|^[ \t]{0,40}(?:public|private|static|const|let|var)[ \t]\w.{0,200}[=({]|^[ \t]{0,40}class \w{1,60}.{0,80}[:{]$"
    r"|\bSELECT\b.{1,200}?\bFROM\b|^Traceback\b|\bat [\w.$]{1,200}\(\w",
    re.MULTILINE,
)
_MATHS = re.compile(
    r"[∫∑∏√∂∇∀∃∈∉⊂⊆∪∩≤≥≠≈≡∞⇒⇔ℕℤℚℝℂ]|\\[a-zA-Z]{2,}|\w\^[\w({]|\b[a-z]\([a-z]\)|\d[xyzn]\b"
    r"|\b[xyzn] ?[+*=<>] ?\w|\b[xyzn] [-/] \w|\d!|\bO\([\w ^*]{1,40}\)",
    re.ASCII,
)
_AMOUNT = r"(?<![\d.,/-])\d{1,4}(?:[.,]\d{1,2})?"
_SUM = re.compile(
    rf"{_AMOUNT}\s?(?:[-+*/×÷x]|plus|minus|times|mal|por|más|mas|menos|geteilt durch|乘以|加|减|除以)"
    r"\s?\d{1,4}(?![\d/-])"
    rf"|{_AMOUNT}\s?(?:%|％|percent|prozent|por ciento)",
    re.IGNORECASE,
)
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*|[一二两三四五六七八九十百千万]+(?=[个人天年月次元块倍台名位])")
_QUOTED = re.compile(r"[“„”«「『《\"]([^“”„»」』》\"]*)[”“»」』》\"]")
_ITEM = re.compile(r"^[ \t]{0,40}(?:[-*•]|\d{1,3}[.)])[ \t]", re.MULTILINE)
_ENDS = re.compile(r"[\n:：]")
_LAST = re.compile(r"[\n。？！?!.”\"»」]\s*(?=\S)")
_SCRIPT = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
_LATIN = re.compile(r"[A-Za-z]{2,}")
_CHINESE = re.compile(r"[㐀-鿿]")


def seen_of(text: str) -> str:
    """The part of a long text that is read."""
    head, tail = SEEN_CHARS
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"


def has_code(text: str) -> bool:
    return not _CODE_SIGNS.isdisjoint(text) and _CODE.search(text) is not None


def has_formula(text: str) -> bool:
    return _MATHS.search(text) is not None


def has_sum(text: str) -> bool:
    """A single operation on small numbers, or a percentage."""
    return _SUM.search(text) is not None


def numbers(text: str) -> int:
    return len(_NUMBER.findall(text))


def items(text: str) -> int:
    """Lines that begin as those of a list do."""
    return len(_ITEM.findall(text))


def questions(text: str) -> int:
    return text.count("?") + text.count("？")


def introduces(text: str) -> bool:
    """Whether something follows a colon or a line's end."""
    return _ENDS.search(text) is not None


def without_quotations(text: str) -> str:
    return _QUOTED.sub(" ", text)


def instruction(told: str) -> str:
    """What is wanted of a long text: its first words up to a colon or a line's end, and its last sentence. The whole
    of a short one."""
    told = told.strip()
    end = _ENDS.search(told, 0, LEAD_CHARS) if len(told) > LONG_CHARS else None
    return told if end is None else f"{told[: end.start()]}\n{_LAST.split(told[-LEAD_CHARS:])[-1]}"


def mixed(text: str) -> bool:
    """Whether it is in several scripts, or in one that the lexicon does not know."""
    return _SCRIPT.search(text) is not None or (_CHINESE.search(text) is not None and len(_LATIN.findall(text)) > 2)
