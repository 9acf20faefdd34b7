"""How hard a question is, by rules that see its words and its form. What they do not know they do not judge."""

import re
from typing import Literal

from msgspec import Struct

from app.models.lexicon import Found, Lexicon, normal, size, without
from app.models.tiers import Tier

Rule = Literal[
    "smalltalk", "fact", "arithmetic", "form", "look_up", "everyday", "text", "code", "maths", "reasoning",
    "constraints", "questions", "length", "unknown",
]  # fmt: skip
"""What told. Fixed words: they are labels of metrics."""

SIMPLE_WORDS = 16
"""Of a question that can be simple."""
FACT_WORDS = 3
"""That a question for a fact may have beside what asks for it: a name or two."""
MEANING_WORDS = 2
"""In quotation marks, whose meaning a dictionary tells."""
SHORT_FORM_WORDS = 7
"""Of a question for the form of a word that is not in quotation marks."""
FORM_WORDS = 60
"""Of a text whose form a small model can work on."""
MEDIUM_WORDS = 90
"""Of a question without material that can be medium."""
MEDIUM_CHARS = 1_000
"""Of the same: more are more words, and need not be read."""
SEEN_CHARS = 1_500, 500
"""Of a long text: what is read of its begin, and of its end."""

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
_SUM = re.compile(r"\d\s*(?:[-+*/×÷x]|plus|minus|times|mal|por|mas|más|menos|geteilt durch|乘以|加|减|除以|[%％])\s*\S*\s*\d"
                  r"|\d\s*(?:%|％|percent|prozent|por ciento)|的\s*\d+\s*[%％]", re.IGNORECASE)  # fmt: skip
_NUMBER = re.compile(r"\d+(?:[.,:]\d+)*|[一二两三四五六七八九十百千万]+(?=[个人天年月次元块倍台名位])")
_QUOTED = re.compile(r"[“„”«「『《\"]([^“”„»」』》\"]*)[”“»」』》\"]")
_ITEM = re.compile(r"^[ \t]{0,40}(?:[-*•]|\d{1,3}[.)])[ \t]", re.MULTILINE)
_ENDS = re.compile(r"[\n:：]")
_LAST = re.compile(r"[\n。？！?!.”\"»」]\s*(?=\S)")
_LEAD_CHARS = 200
_LONG_CHARS = 300
_SCRIPT = re.compile(r"[\u0370-\u1fff\u3040-\u30ff\uac00-\ud7af]")
_LATIN = re.compile(r"[A-Za-z]{2,}")
_CHINESE = re.compile(r"[㐀-鿿]")


class Judgement(Struct, frozen=True):
    """The tier that a question needs; None: the rules cannot tell."""

    tier: Tier | None
    rule: Rule


UNKNOWN = Judgement(None, "unknown")


def judge(text: str, lexicon: Lexicon) -> Judgement:
    """Rules from the surest to the least sure. What calls itself easy is not believed."""
    seen = _seen(text)
    if not _CODE_SIGNS.isdisjoint(seen) and _CODE.search(seen):
        return Judgement("complex", "code")
    told = _QUOTED.sub(" ", seen)
    wish = _read(_instruction(told), lexicon)
    if (work := _work_on_text(seen, told, wish)) is not None:
        return work
    if len(seen) > MEDIUM_CHARS:
        return Judgement("complex", "length")
    whole = _read(seen, lexicon)
    return _hard(seen, whole) or _simple(seen, whole) or _medium(seen, whole)


class _Reading(Struct, frozen=True):
    words: str
    size: int
    found: Found

    def left(self, *signals: str) -> int:
        """How many words there are beside those of these signals and the fillers."""
        terms = [term for signal in (*signals, "filler") for term in self.found.get(signal, ())]
        return size(without(self.words, terms))

    @property
    def hard(self) -> Rule | None:
        """What makes it hard, whatever else it says."""
        if "maths" in self.found:
            return "maths"
        if "code" in self.found:
            return "code"
        if "reasoning" in self.found:
            return "reasoning"
        return "constraints" if len(self.found.get("constraints", ())) > 1 else None

    @property
    def calm(self) -> bool:
        """Whether nothing speaks against a simple answer."""
        return self.hard is None and not self.found.keys() & {"caution", "constraints"}


def _seen(text: str) -> str:
    head, tail = SEEN_CHARS
    return text if len(text) <= head + tail else f"{text[:head]}\n{text[-tail:]}"


def _read(text: str, lexicon: Lexicon) -> _Reading:
    words = normal(text)
    found = lexicon.read(words)
    if asides := found.get("aside"):
        words = without(words, asides)
        found = lexicon.read(words)
    return _Reading(words, size(words), found)


def _instruction(told: str) -> str:
    """What is wanted of a long text: its first words up to a colon or a line's end, and its last sentence."""
    told = told.strip()
    if len(told) <= _LONG_CHARS:
        return told
    end = _ENDS.search(told, 0, _LEAD_CHARS)
    if end is None:
        return told
    tail = told[-_LEAD_CHARS:]
    return f"{told[: end.start()]}\n{_LAST.split(tail)[-1]}"


def _work_on_text(seen: str, told: str, wish: _Reading) -> Judgement | None:
    """Of a question that comes with the text it is about; None for others. The text itself may be about anything."""
    material = len(seen) - len(wish.words)
    if wish.hard is not None or wish.size > MEDIUM_WORDS or _MATHS.search(told[:_LEAD_CHARS]):
        return None
    if "form" in wish.found or _asks_meaning(seen, wish):
        given = len(told) < len(seen) or _ENDS.search(told) is not None or wish.size <= SHORT_FORM_WORDS
        easy = given and wish.calm and size(normal(seen)) <= FORM_WORDS
        return Judgement("simple", "form") if easy else Judgement("medium", "text")
    if "look_up" in wish.found and material > _LEAD_CHARS and len(told) < len(seen):
        return Judgement("simple", "look_up") if wish.calm else Judgement("medium", "text")
    if "summary" in wish.found:
        return Judgement("medium", "text")
    return None


def _asks_meaning(seen: str, wish: _Reading) -> bool:
    quoted = size(normal(seen)) - wish.size
    own = wish.left("meaning") > MEANING_WORDS or "own" in wish.found
    return "meaning" in wish.found and 0 < quoted <= MEANING_WORDS and not own


def _hard(seen: str, whole: _Reading) -> Judgement | None:
    if _MATHS.search(seen):
        return Judgement("complex", "maths")
    if whole.hard is not None:
        return Judgement("complex", whole.hard)
    if len(_NUMBER.findall(seen)) > 2:
        return Judgement("complex", "maths")
    if len(_ITEM.findall(seen)) > 2:
        return Judgement("complex", "constraints")
    if _questions(seen) > 2:
        return Judgement("complex", "questions")
    return Judgement("complex", "length") if whole.size > MEDIUM_WORDS else None


def _simple(seen: str, whole: _Reading) -> Judgement | None:
    found = whole.found
    if not whole.calm:
        return None
    if "smalltalk" in found and whole.left("smalltalk") <= 1:
        return Judgement("simple", "smalltalk")
    if whole.size > SIMPLE_WORDS or _questions(seen) > 1 or _mixed(seen) or found.keys() & {"everyday", "own"}:
        return None
    if _SUM.search(seen) and whole.size <= SIMPLE_WORDS // 2:
        return Judgement("simple", "arithmetic")
    amount = "amount" in found and "units" in found and whole.left("amount", "units") <= FACT_WORDS
    if amount or ("fact" in found and whole.left("fact") <= FACT_WORDS):
        return Judgement("simple", "fact")
    return None


def _medium(seen: str, whole: _Reading) -> Judgement:
    if whole.size <= SIMPLE_WORDS and "constraints" in whole.found:
        return UNKNOWN
    short = whole.size <= SIMPLE_WORDS // 2 and not _NUMBER.search(seen)
    return Judgement("medium", "everyday") if "everyday" in whole.found or (short and "definition" in whole.found) else UNKNOWN


def _questions(text: str) -> int:
    return text.count("?") + text.count("？")


def _mixed(text: str) -> bool:
    """Whether it is in several scripts, or in one that the lexicon does not know."""
    return bool(_SCRIPT.search(text)) or bool(_CHINESE.search(text) and len(_LATIN.findall(text)) > 2)
