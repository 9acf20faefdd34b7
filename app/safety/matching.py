"""The rules for input, compiled: which of them a text meets. Two passes of hyperscan for each copy of the text."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import hyperscan
from msgspec import Struct

from app.patterns.database import compiled, database
from app.safety.copies import Copy, copies, fold
from app.safety.hidden import FORMS, tags
from app.safety.rule_file import Rule, RuleFile, wrong
from app.safety.vocabulary import Chain, Ends, Vocabulary, merged

_FLAGS: Final = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH
_DEPTH: Final = 2
"""How often what was found within a text is looked into in turn."""


class Cluster(Struct, frozen=True):
    """`need` of the items, close together in any order."""

    items: tuple[tuple[int, ...], ...]
    need: int
    within: int

    def is_in(self, found: Ends) -> bool:
        there = [item for item in self.items if any(number in found for number in item)]
        if len(there) < self.need:
            return False
        ends = sorted((end, index) for index, item in enumerate(there) for end in merged(found, item))
        return _near(ends, self.need, self.within)


class RuleSet:
    """Not for several threads at once."""

    def __init__(self, files: Sequence[RuleFile]) -> None:
        """Raises ConfigurationError for a rule that cannot be matched."""
        self.rules = tuple([rule for file in files for rule in file.rules])
        self._vocabulary = Vocabulary(files)
        self._by_term: dict[int, list[int]] = defaultdict(list)
        self._tests: dict[int, Chain | Cluster] = {}
        patterns: list[str] = []
        self._of_pattern: list[Rule | str] = []
        for file in files:
            for rule in file.rules:
                if rule.pattern:
                    patterns.append(_folded(rule.pattern))
                    self._of_pattern.append(rule)
                else:
                    self._add(file, rule)
        for name, form in FORMS.items():
            patterns += form.patterns
            self._of_pattern += [name] * len(form.patterns)
        self._patterns = _database(patterns, files)

    def met(self, text: str) -> Iterator[Rule]:
        """Rules that the text meets, or what is hidden in it. One may be told of more than once."""
        return self._met(text, _DEPTH)

    def _add(self, file: RuleFile, rule: Rule) -> None:
        numbered = self._vocabulary.numbered(file, rule, rule.id)
        chain = bool(rule.then)
        number = self.rules.index(rule)
        self._tests[number] = (
            Chain(numbered, rule.gap) if chain else Cluster(numbered, rule.need or len(numbered), rule.within)
        )
        sure = numbered[:1] if chain else numbered[: len(numbered) - (rule.need or len(numbered)) + 1]
        for item in sure:  # without one of which it cannot be met
            for term in item:
                self._by_term[term].append(number)

    def _met(self, text: str, depth: int) -> Iterator[Rule]:
        forms: set[str] = set()
        for copy in copies(text):
            for met in self._in(copy):
                if isinstance(met, Rule):
                    yield met
                else:
                    forms.add(met)
        if depth:
            for hidden in _hidden(text, forms):
                yield from self._met(hidden, depth - 1)

    def _in(self, copy: Copy) -> Iterator[Rule | str]:
        hits: list[int] = []
        self._patterns.scan(copy.text, _on_match, context=hits)
        for hit in hits:
            yield self._of_pattern[hit]
        found = self._vocabulary.find(copy.words)
        for number in sorted({number for term in found for number in self._by_term.get(term, ())}):
            test = self._tests[number]
            if test.ends(found) if isinstance(test, Chain) else test.is_in(found):
                yield self.rules[number]


def _on_match(number: int, _: int, __: int, ___: int, hits: Any) -> None:
    hits.append(number)


def _hidden(text: str, forms: Iterable[str]) -> Iterator[str]:
    if unseen := tags(text):
        yield unseen
    for form in sorted(forms):
        for revealed in FORMS[form].reveal(text):
            if revealed and revealed != text:
                yield revealed


def _near(ends: list[tuple[int, int]], need: int, within: int) -> bool:
    """Whether so many items end within so many bytes."""
    count: dict[int, int] = defaultdict(int)
    different = first = 0
    for end, item in ends:
        different += not count[item]
        count[item] += 1
        while end - ends[first][0] > within:
            left = ends[first][1]
            count[left] -= 1
            different -= not count[left]
            first += 1
        if different >= need:
            return True
    return False


def _folded(pattern: str) -> str:
    """As texts are, but for what stands after a backslash."""
    pieces = pattern.split("\\")
    return "\\".join([fold(pieces[0]), *[piece[:1] + fold(piece[1:]) for piece in pieces[1:]]])


def _database(patterns: Sequence[str], files: Sequence[RuleFile]) -> hyperscan.Database:
    """Raises ConfigurationError, which names the first rule that is at fault."""
    try:
        return database([each.encode() for each in patterns], _FLAGS)
    except hyperscan.error:
        for file in files:
            for rule in file.rules:
                _check(file, rule)
        raise


def _check(file: RuleFile, rule: Rule) -> None:
    try:
        if rule.pattern:
            compiled([_folded(rule.pattern).encode()], _FLAGS, literal=False)
    except hyperscan.error as error:
        raise wrong(file, rule, f"hyperscan does not take its pattern: {error}") from None
