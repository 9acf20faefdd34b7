"""The terms and phrases of the rules: where in a text each of them ends."""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from app.patterns.database import database
from app.safety.copies import fold
from app.safety.rule_file import RuleFile, items, wrong

Ends = Mapping[int, Sequence[int]]
"""By the number of a term or phrase, ascending."""

_BEGINS_UNSPACED: Final = "\u0e00"  # Thai; Chinese and Japanese follow, and Korean, whose words have spaces
_HANGUL: Final = ("\uac00", "\ud7a3")


class Chain(Struct, frozen=True):
    """Items one after the other; each is numbers of terms or phrases, any of which will do."""

    items: tuple[tuple[int, ...], ...]
    gap: int

    def ends(self, found: Ends) -> list[int]:
        """Where the last item ends, with the others before it."""
        ends = merged(found, self.items[0])
        for item in self.items[1:]:
            if not ends:
                return []
            ends = [end for end in merged(found, item) if 0 < end - _last_before(ends, end) <= self.gap]
        return ends


def merged(found: Ends, numbers: Sequence[int]) -> list[int]:
    there = [found[number] for number in numbers if number in found]
    return sorted({end for ends in there for end in ends}) if len(there) > 1 else list(there[0]) if there else []


def _last_before(ends: Sequence[int], end: int) -> int:
    at = bisect_left(ends, end)
    return ends[at - 1] if at else end


class Vocabulary:
    """Not for several threads at once. Names are a file's own: each file is a world of terms."""

    def __init__(self, files: Iterable[RuleFile]) -> None:
        """Raises ConfigurationError."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._phrases: list[tuple[int, Chain]] = []
        literals: dict[bytes, list[int]] = defaultdict(list)
        for file in files:
            for name, words in file.terms.items():
                number = self._number(file, name)
                for literal in _literals(file, name, words):
                    literals[literal].append(number)
            for name, phrase in file.phrases.items():
                chain = Chain(self.numbered(file, phrase, name), phrase.gap)
                self._phrases.append((self._number(file, name), chain))
        self._of = [tuple(dict.fromkeys(numbers)) for numbers in literals.values()]
        self._database = database(list(literals), literal=True) if literals else None

    def numbered(self, file: RuleFile, of: Any, name: str) -> tuple[tuple[int, ...], ...]:
        """The items of a rule or phrase. Raises ConfigurationError."""
        try:
            return tuple([tuple([self._numbers[file.name, each] for each in item]) for item in items(of)])
        except KeyError as error:
            raise wrong(file, name, f"there is no term or earlier phrase {error.args[0][1]!r}") from None

    def find(self, words: bytes) -> dict[int, list[int]]:
        hits: list[tuple[int, int]] = []
        if self._database is not None:
            self._database.scan(words, _on_match, context=hits)
        found: dict[int, list[int]] = {}
        for literal, end in hits:
            for number in self._of[literal]:
                found.setdefault(number, []).append(end)
        for number, chain in self._phrases if found else ():
            if ends := chain.ends(found):
                found[number] = ends
        return found

    def _number(self, file: RuleFile, name: str) -> int:
        return self._numbers.setdefault((file.name, name), len(self._numbers))


def _on_match(literal: int, _: int, end: int, __: int, hits: Any) -> None:
    hits.append((literal, end))


def _literals(file: RuleFile, name: str, words: str) -> Iterator[bytes]:
    for term in filter(None, (each.strip() for each in words.split(","))):
        plain = " ".join(fold(term.strip("*").strip()).replace("'", "").split())
        if not plain:
            raise wrong(file, name, f"{term!r} is no word")
        before = "" if term.startswith("*") or _unspaced(plain[0]) else " "
        after = "" if term.endswith("*") or _unspaced(plain[-1]) else " "
        yield f"{before}{plain}{after}".encode()


def _unspaced(letter: str) -> bool:
    """Whether the script has no spaces between words."""
    return letter >= _BEGINS_UNSPACED and not _HANGUL[0] <= letter <= _HANGUL[1] and letter.isalpha()
