"""Whether two questions are the same, whatever an embedding says of them.

Embeddings tell what a text is about, and `5 USD in EUR` is about the same as `5 EUR in USD`. So two questions are
the same only if nothing differs but what is known to be harmless (app/runs/wording.py): a difference that nobody has
thought of keeps them apart. A miss costs one model call, a false hit is a wrong answer.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Literal

from app.runs import telling_words as telling
from app.runs.harmless_words import ASKING, ASKING_ENDS, BEFORE, NAMES, OPENERS, QUESTION_WORDS
from app.runs.splitting import is_word
from app.runs.wording import Wording, wording

Reason = Literal[
    "number", "link", "code", "negation", "date", "unit", "quantifier", "comparison", "question", "language", "name",
    "order", "mark", "wording",
]  # fmt: skip

_TELLING: Sequence[tuple[Reason, frozenset[str]]] = (
    ("negation", telling.NEGATIONS),
    ("date", telling.DATES),
    ("unit", telling.UNITS),
    ("quantifier", telling.QUANTIFIERS),
    ("comparison", telling.COMPARISONS),
    ("question", QUESTION_WORDS),
)


def vetoed(a: str, b: str) -> Reason | None:
    """Why an answer to one question is no answer to the other; None if they are the same question."""
    return vetoed_as_read(wording(a), wording(b))


def vetoed_as_read(a: Wording, b: Wording) -> Reason | None:
    """As `vetoed`, for texts that have been read: one is compared with many."""
    if len(a.words) != len(b.words) or not a.words:
        return _reason(a, b)
    for place, (one, other) in enumerate(zip(a.words, b.words, strict=True)):
        if one != other and not _same_in_capitals(a, b, place):
            return _reason(a, b)
    return None if _same_end(a, b) else "mark"


def _same_end(a: Wording, b: Wording) -> bool:
    """A question asks without its mark as well, and a full stop says nothing. An exclamation is no question."""
    if a.end == b.end:
        return True
    if a.literal or b.literal:
        return False
    ends = {a.end, b.end}
    return ends == {"", "."} or ("!" not in ends and _asks(a.words))


def _asks(words: Sequence[str]) -> bool:
    return words[0].lower() in ASKING or words[-1].endswith(ASKING_ENDS)


def _same_in_capitals(a: Wording, b: Wording, place: int) -> bool:
    """Whether words that are not the same differ in their first letter's size only, and mean the same."""
    if a.words[place].islower():
        small, large = a, b
    else:
        small, large = b, a
    word, capital = small.words[place], large.words[place]
    if not is_word(word) or word.lower() != word or capital != word[0].upper() + word[1:]:
        return False
    if place == 0 and (word in BEFORE or small.led or large.led):
        return True
    if {a.language, b.language} != {"en"} or a.literal or b.literal:
        return False
    return word in NAMES or (word == "i" and place < len(small.words) - 1) or _begins_sentence(small.words, place)


def _begins_sentence(words: Sequence[str], place: int) -> bool:
    return words[place] in OPENERS and words[place - 1] in (".", "!", "?")


def _reason(a: Wording, b: Wording) -> Reason:
    """The first kind of difference that is found: a word for people, on which nothing depends."""
    mine, yours = Counter(a.words), Counter(b.words)
    differing = set((mine - yours) + (yours - mine))
    if not differing:
        return "order"
    if found := _reason_of_marks(differing):
        return found
    lower = {word.lower() for word in differing}
    for reason, words in _TELLING:
        if not words.isdisjoint(lower):
            return reason
    if a.language != b.language or _scripts(a.words) != _scripts(b.words):
        return "language"
    return "name" if any(word[0].isupper() for word in differing) else "wording"


def _reason_of_marks(differing: Iterable[str]) -> Reason | None:
    marks = [word for word in differing if not is_word(word)]
    if any("://" in word or word.startswith("www.") for word in marks):
        return "link"
    if any(char.isdecimal() for word in marks for char in word):
        return "number"
    return "code" if marks else None


def _scripts(words: Iterable[str]) -> set[bool]:
    """Whether there are letters before U+0370, Latin ones, and whether there are others."""
    return {char < "\u0370" for word in words for char in word if char.isalpha()}
