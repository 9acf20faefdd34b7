"""Finds all that the rules know in a text: one scan says which rules to ask, and these where they find something.

Loaded only where something is redacted.
"""

from collections.abc import Collection, Sequence

from app.redaction.candidates import Stays, candidates_of, unheard
from app.redaction.matching import Found, Matcher, compiled
from app.redaction.overlaps import merged
from app.redaction.rule import Rule


def patterns_of(rules: Sequence[Rule]) -> tuple[str, ...]:
    """What one scan looks for: each rule's own pattern, then those of what is not closed yet."""
    return *[rule.pattern for rule in rules], *[_closed(rule.unclosed) for rule in rules if rule.unclosed]


class Scanner:
    """Built once a process; threads may share it."""

    def __init__(self, rules: Sequence[Rule], stays: Stays = unheard) -> None:
        """Raises ConfigurationError for a rule that cannot be used."""
        self._matchers = [Matcher(rule, place) for place, rule in enumerate(rules)]
        self._unclosed = [compiled(rule, _closed(rule.unclosed)) for rule in rules if rule.unclosed]
        self._openings = [(compiled(rule, rule.opening), rule) for rule in rules if rule.opening]
        self.candidates = candidates_of(patterns_of(rules), stays)
        """Tells the numbers of those patterns that occur in a text."""

    def find(self, data: bytes) -> list[Found]:
        """What is to be taken out, in its order."""
        numbers = self.candidates(data)
        return self._found(data, numbers) if numbers else []

    def find_open(self, data: bytes, numbers: Collection[int], since: int) -> tuple[list[Found], int]:
        """The same of a text that goes on, whose `candidates` have these numbers, where what ends before `since` may be
        left out; and from where on it may be part of something that goes on as well."""
        return self._found(data, numbers, since), self._open_from(data, numbers)

    def begun(self, data: bytes) -> tuple[int, str] | None:
        """Where in a long word something begins whose end may be far, and its kind."""
        for regex, rule in self._openings:
            if (match := regex.search(data)) is not None:
                return match.start(), rule.kind
        return None

    def _found(self, data: bytes, numbers: Collection[int], since: int = 0) -> list[Found]:
        matchers, lower = self._matchers, data.lower()
        found = [
            each for number in numbers if number < len(matchers) for each in matchers[number].find(data, lower, since)
        ]
        return merged(found) if found else found

    def _open_from(self, data: bytes, numbers: Collection[int]) -> int:
        start = len(data)
        for number in numbers:
            place = number - len(self._matchers)
            if place >= 0 and (match := self._unclosed[place].search(data)) is not None:
                start = min(start, match.start(match.re.groups))
        return start


def _closed(pattern: str | None) -> str:
    return f"{pattern}$"
