"""The terms and phrases of the rules: where in a text each of them ends."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, Final

from app.patterns.database import database
from app.safety.copies import fold
from app.safety.nearness import Chain
from app.safety.rule_file import RuleFile, items, wrong

Hit = tuple[int, int]
"""The number of a literal, and where it ends."""

_BEGINS_UNSPACED: Final = "\u0e00"  # Thai; Chinese and Japanese follow, and Korean, whose words have spaces
_HANGUL: Final = ("\uac00", "\ud7a3")


class Vocabulary:
    """Not for several threads at once. Names are a file's own: each file is a world of terms."""

    def __init__(self, files: Iterable[RuleFile]) -> None:
        """Raises ConfigurationError."""
        self._numbers: dict[tuple[str, str], int] = {}
        self._chains: dict[int, Chain] = {}
        self._giving: dict[int, set[int]] = defaultdict(set)
        literals: dict[bytes, list[int]] = defaultdict(list)
        for file in files:
            for name, words in file.terms.items():
                number = self._number(file, name)
                for literal in _literals(file, name, words):
                    literals[literal].append(number)
            for name, phrase in file.phrases.items():
                chain = Chain(self.numbered(file, phrase, name), phrase.gap)
                self._chains[self._number(file, name)] = chain
        self._of = [tuple(dict.fromkeys(numbers)) for numbers in literals.values()]
        self._note_giving()
        self._database = database(list(literals), literal=True) if literals else None

    def numbered(self, file: RuleFile, of: Any, name: str) -> tuple[tuple[int, ...], ...]:
        """The items of a rule or phrase. Raises ConfigurationError."""
        try:
            return tuple([tuple([self._numbers[file.name, each] for each in item]) for item in items(of)])
        except KeyError as error:
            raise wrong(file, name, f"there is no term or earlier phrase {error.args[0][1]!r}") from None

    @property
    def size(self) -> int:
        """How many literals there are: the words of all terms, each once."""
        return len(self._of)

    def giving(self, number: int) -> set[int]:
        """Literals without one of which there is no such term or phrase in a text."""
        return self._giving[number]

    def halves(self, number: int) -> tuple[set[int], set[int]]:
        """Literals without one of each of which there is no such term or phrase in a text."""
        chain = self._chains.get(number)
        first = set().union(*map(self.giving, chain.items[0])) if chain else self.giving(number)
        return first, self.giving(number)

    def look(self, words: bytes) -> list[Hit]:
        hits: list[Hit] = []
        if self._database is not None:
            self._database.scan(words, _on_match, context=hits)
        return hits

    def find(self, hits: Iterable[Hit]) -> dict[int, list[int]]:
        """Terms and phrases, from the literals that `look` has seen."""
        found: dict[int, list[int]] = {}
        for literal, end in hits:
            for number in self._of[literal]:
                found.setdefault(number, []).append(end)
        for number, chain in self._chains.items():
            if ends := chain.ends(found):
                found[number] = ends
        return found

    def _note_giving(self) -> None:
        for literal, numbers in enumerate(self._of):
            for number in numbers:
                self._giving[number].add(literal)
        for number, chain in self._chains.items():
            self._giving[number].update(*map(self.giving, chain.items[-1]))

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
