"""The rules for input, compiled: which of them a text meets. Two passes of hyperscan for each copy of the text."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, Final

import hyperscan

from app.patterns.database import compiled, database
from app.safety.copies import copies, fold
from app.safety.hidden import FORMS, tags
from app.safety.nearness import Chain, Cluster
from app.safety.rule_file import Rule, RuleFile, wrong
from app.safety.vocabulary import Hit, Vocabulary

_FLAGS: Final = hyperscan.HS_FLAG_UTF8 | hyperscan.HS_FLAG_DOTALL | hyperscan.HS_FLAG_SINGLEMATCH
_DEPTH: Final = 2
"""How often what was found within a text is looked into in turn."""


class RuleSet:
    """Not for several threads at once."""

    def __init__(self, files: Sequence[RuleFile]) -> None:
        """Raises ConfigurationError for a rule that cannot be matched."""
        self.rules = tuple([rule for file in files for rule in file.rules])
        self._any_rule = (1 << len(self.rules)) - 1
        self._vocabulary = Vocabulary(files)
        self._first, self._last = [0] * self._vocabulary.size, [0] * self._vocabulary.size
        """By literal, a bit for each rule that it is needed for; beyond these, one for each sign."""
        self._signs: list[tuple[int, int]] = []
        """By bit, the number of the sign's rule and what it weighs there."""
        self._needs: dict[int, int] = {}
        self._fewest = 1_000
        """How many signs it takes at least."""
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
        number = self.rules.index(rule)
        if rule.then:
            self._tests[number] = Chain(numbered, rule.gap)
            self._note(1 << number, numbered[:1], numbered[-1:])
        elif rule.near:
            need = rule.need or len(numbered)
            spared = len(numbered) - need
            self._tests[number] = Cluster(numbered, (1,) * len(numbered), need, rule.within)
            self._note(1 << number, numbered[: spared + 1], numbered[-spared - 1 :])
        else:
            self._tests[number] = Cluster(numbered, tuple(rule.signs.values()), rule.need or 0, rule.within)
            self._needs[number] = rule.need or 0
            heaviest = accumulate(sorted(rule.signs.values(), reverse=True))
            self._fewest = min(self._fewest, sum(weight < self._needs[number] for weight in heaviest) + 1)
            for item, weight in zip(numbered, rule.signs.values(), strict=True):
                self._note(1 << len(self.rules) + len(self._signs), [item], [item])
                self._signs.append((number, weight))

    def _note(self, bit: int, first: Sequence[tuple[int, ...]], last: Sequence[tuple[int, ...]]) -> None:
        """A literal of one of the first items, and one of the last, is in each text that what the bit is for meets."""
        for masks, half, terms in ((self._first, 0, first), (self._last, 1, last)):
            for term in (term for item in terms for term in item):
                for literal in self._vocabulary.halves(term)[half]:
                    masks[literal] |= bit

    def _met(self, text: str, depth: int) -> Iterator[Rule]:
        forms: set[str] = set()
        for copy in copies(text):
            hits: list[int] = []
            self._patterns.scan(copy.text, _on_match, context=hits)
            for hit in hits:
                met = self._of_pattern[hit]
                if isinstance(met, Rule):
                    yield met
                else:
                    forms.add(met)
            yield from self._told_by(self._vocabulary.look(copy.words))
        if depth and (forms or not text.isascii()):
            for hidden in _hidden(text, forms):
                yield from self._met(hidden, depth - 1)

    def _told_by(self, hits: Sequence[Hit]) -> Iterator[Rule]:
        """Rules whose terms stand in a text as they are to. In most texts, no rule has one of both its halves."""
        first = last = 0
        for literal, _ in hits:
            first |= self._first[literal]
            last |= self._last[literal]
        if not (possible := first & last):
            return
        if (signs := possible >> len(self.rules)).bit_count() >= self._fewest:
            possible |= self._adding_up(signs)
        if not possible & self._any_rule:
            return
        found = self._vocabulary.find(hits)
        for number, test in self._tests.items():
            if possible >> number & 1 and test.is_in(found):
                yield self.rules[number]

    def _adding_up(self, signs: int) -> int:
        """Rules, a bit each, that these signs may weigh enough for, were all of them close together."""
        needs, enough = dict(self._needs), 0
        while signs:
            number, weight = self._signs[(signs & -signs).bit_length() - 1]
            needs[number] -= weight
            if needs[number] <= 0:
                enough |= 1 << number
            signs &= signs - 1
        return enough


def _on_match(number: int, _: int, __: int, ___: int, hits: Any) -> None:
    hits.append(number)


def _hidden(text: str, forms: Iterable[str]) -> Iterator[str]:
    if unseen := tags(text):
        yield unseen
    for form in sorted(forms):
        for revealed in FORMS[form].reveal(text):
            if revealed and revealed != text:
                yield revealed


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
