"""The terms of app/models/routing_words, and which of them a text has. Reading takes about 10 µs a sentence."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Mapping
from importlib.resources import files

import msgspec

Found = Mapping[str, frozenset[str]]
"""Terms by the signal that they are of; a signal without a term is left out."""

_NAMES = str.maketrans({"#": "sharp"})
_NO_WORD = re.compile(r"[\W_]+")
_CHINESE = re.compile(r"[㐀-鿿豈-﫿]+")
_CJK = re.compile(r"[㐀-鿿豈-﫿]")


def normal(text: str) -> str:
    """The words of a text between single spaces, one at either end; without case, accents and punctuation."""
    named = text.replace("++", "pp").translate(_NAMES)
    letters = unicodedata.normalize("NFKD", unicodedata.normalize("NFKC", named).casefold())
    if not letters.isascii():
        plain = "".join([letter for letter in letters if not unicodedata.combining(letter)])
        letters = _CHINESE.sub(r" \g<0> ", plain)
    return f" {_NO_WORD.sub(' ', letters).strip()} "


def size(words: str) -> int:
    """About how many words a normal text has; two Chinese characters count as one."""
    characters = len(_CJK.findall(words))
    return len(_CJK.sub(" ", words).split()) + (characters + 1) // 2


class Lexicon:
    """Built once a process."""

    def __init__(self, languages: Iterable[Mapping[str, str]]) -> None:
        """Each language has its terms by signal, set apart by commas."""
        self.languages = tuple(languages)
        self._words: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._stems: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._phrases: dict[str, set[tuple[str, str]]] = defaultdict(set)
        self._anywhere: list[tuple[str, str]] = []
        self._chinese: list[tuple[str, str]] = []
        for language in self.languages:
            for signal, terms in language.items():
                for term in filter(None, map(str.strip, terms.split(","))):
                    self._add(signal, term)
        self._lengths = sorted({len(stem) for stem in self._stems})

    def _add(self, signal: str, term: str) -> None:
        bare = normal(term).strip()
        ending = "" if term.endswith("*") else " "
        if _CJK.search(bare):
            self._chinese.append((signal, bare))
        elif term.startswith("*"):
            self._anywhere.append((signal, bare + ending))
        elif " " in bare:
            self._phrases[bare.partition(" ")[0]].add((signal, f" {bare}{ending}"))
        elif ending:
            self._words[bare].add((signal, f" {bare} "))
        else:
            self._stems[bare].add((signal, f" {bare}"))

    def read(self, words: str) -> Found:
        """The terms in a normal text, as they stand in it."""
        found: dict[str, set[str]] = defaultdict(set)
        for word in set(words.split()):
            pairs = [*self._words.get(word, ())]
            for length in self._lengths:
                if length > len(word):
                    break
                pairs += self._stems.get(word[:length], ())
            pairs += [pair for pair in self._phrases.get(word, ()) if pair[1] in words]
            for signal, term in pairs:
                found[signal].add(term)
        anywhere = self._anywhere if words.isascii() else [*self._anywhere, *self._chinese]
        for signal, term in anywhere:
            if term in words:
                found[signal].add(term)
        return {signal: frozenset(terms) for signal, terms in found.items()}


def without(words: str, terms: Iterable[str]) -> str:
    """A normal text without these terms, the longest first."""
    for term in sorted(terms, key=len, reverse=True):
        while term in words:
            words = words.replace(term, " ")
    return f" {' '.join(words.split())} "


def load() -> Lexicon:
    """The lexicon of all languages. Reads files."""
    folder = files("app.models") / "routing_words"
    languages = sorted((path for path in folder.iterdir() if path.name.endswith(".yaml")), key=lambda path: path.name)
    return Lexicon(msgspec.yaml.decode(path.read_bytes(), type=dict[str, str]) for path in languages)
