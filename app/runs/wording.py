"""How a question is worded, without what changes nothing: politeness, a mark at its end, other forms of a word.

Two questions whose wordings are equal are the same question; app/runs/veto.py says how large and small letters count.
A text that may be about words as such keeps them as they are.
"""

import re
from hashlib import sha256

from msgspec import Struct

from app.runs import harmless_words as harmless
from app.runs.number_words import NUMBERS
from app.runs.openings import begins, framed, fronted, without_greeting, without_opening
from app.runs.splitting import fold, split
from app.runs.telling_words import LANGUAGES, LITERAL, NEGATIONS

_QUOTING = re.compile(r"[\"`:“”„«»\u2018\u2039\u203a「」『』<>{}=\\]|(?<!\w)'|'(?!\w)|\n|…|\.\.")
_MARKS = frozenset({".", "!", "?"})


class Wording(Struct, frozen=True):
    words: tuple[str, ...]
    end: str
    """The mark at its end: `.`, `!`, `?` or nothing."""
    literal: bool
    """It may be about words as such."""
    language: str
    """`en`, `de`, `fr`, `es` or nothing."""
    led: bool
    """Something was left out before its first word."""

    @property
    def form(self) -> str:
        """Equal for questions that may be the same, and different for nearly all that are not."""
        return sha256("\0".join(self.words).lower().encode("utf-8", "replace")).hexdigest()[:16]


def wording(text: str) -> Wording:
    folded = fold(text).strip()
    words = split(folded)
    spoken = {word.lower() for word in words}
    literal = bool(_QUOTING.search(folded)) or not LITERAL.isdisjoint(spoken)
    language = _language(words)
    end, words = _without_end(words, language)
    length = len(words)
    if literal:
        words = without_opening(words, literal=True)
        led = len(words) < length
    else:
        words = without_greeting([form for word in words for form in _forms(word, language)])
        thanked_end, words = _without_thanks(words, language)
        opened = without_opening(words, literal=False)
        led = len(opened) < len(words) or len(words) < length
        end = _own_end(thanked_end or end, opened is not words)
        words = framed(fronted(opened))
    return Wording(tuple(words), end, literal, language, led)


def _language(words: list[str]) -> str:
    spoken = [word.lower() for word in words]
    counts = {name: sum(word in known for word in spoken) for name, known in LANGUAGES.items()}
    most = max(counts.values())
    leading = [name for name, count in counts.items() if count == most]
    return leading[0] if most and len(leading) == 1 else ""


def _without_end(words: list[str], language: str) -> tuple[str, list[str]]:
    if words and words[-1] in _MARKS:
        return words[-1], words[:-1]
    if len(words) > 1 and language == "fr" and words[-1] in (" ?", " !"):
        return words[-1][1], words[:-1]
    return "", words


def _own_end(end: str, opened: bool) -> str:
    """`could you explain X?` is a request, whose mark is that of what was left out."""
    return "" if opened and end == "?" else end


def _without_thanks(words: list[str], language: str) -> tuple[str, list[str]]:
    """Only of what begins as a question does, and after a mark or comma."""
    for phrase in (*harmless.PLEASE, *harmless.THANKS):
        rest, last = words[: -len(phrase)], words[-len(phrase) :]
        if begins(last, phrase) and len(rest) > 2 and rest[0].lower() in harmless.OPENERS and _is_new(phrase, rest):
            if rest[-1] == "," and last[0].islower() and rest[-2].lower() not in NEGATIONS:
                return "", rest[:-1]
            if rest[-1] in (*_MARKS, " ?"):
                return _without_end(rest, language)
    return "", words


def _is_new(phrase: harmless.Phrase, rest: list[str]) -> bool:
    """Whether it is not repeated, as in `who sang please, please`."""
    return all(word.lower() != phrase[0] for word in rest)


def _forms(word: str, language: str) -> tuple[str, ...]:
    lower = word.lower()
    if apart := harmless.CONTRACTIONS.get(lower):
        return (apart[0].capitalize() if word[0].isupper() else apart[0], *apart[1:])
    number = NUMBERS[language or "en"].get(word)  # in small letters: `Seven` may be a film
    return (number or harmless.SPELLINGS.get(word, word),)
