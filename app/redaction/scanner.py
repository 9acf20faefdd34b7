"""Finds all that the rules know in a text: Hyperscan says which rules to ask, RE2 where each finds something.

Where only one of the two can be imported, it does both. Loaded only where something is redacted.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

from app.errors import ConfigurationError
from app.redaction.matching import Found, Matcher, compiled, merged
from app.redaction.rule import Rule

Candidates = Callable[[bytes], "set[int] | list[int]"]
"""The numbers of the patterns that occur in a text."""


class Scanner:
    """Built once a process; threads may share it."""

    def __init__(self, rules: Sequence[Rule]) -> None:
        """Raises ConfigurationError for a rule that cannot be used."""
        self._matchers = [Matcher(rule) for rule in rules]
        self._unclosed = [(compiled(rule, _closed(rule.unclosed)), rule) for rule in rules if rule.unclosed]
        self._openings = [(compiled(rule, rule.opening), rule) for rule in rules if rule.opening]
        patterns = [(rule, rule.pattern) for rule in rules]
        patterns += [(rule, _closed(rule.unclosed)) for _, rule in self._unclosed if rule.unclosed]
        self._candidates = _candidates(patterns)

    def find(self, data: bytes) -> list[Found]:
        """What is to be taken out, in its order."""
        numbers = self._candidates(data)
        return self._found(data, numbers) if numbers else []

    def find_open(self, data: bytes, since: int) -> tuple[list[Found], int]:
        """The same of a text that goes on, where what ends before `since` may be left out; and from where on it may be
        part of something that goes on as well."""
        numbers = self._candidates(data)
        if not numbers:
            return [], len(data)
        return self._found(data, numbers, since), self._open_from(data, numbers)

    def begun(self, data: bytes) -> tuple[int, str] | None:
        """Where in a long word something begins whose end may be far, and its kind."""
        for regex, rule in self._openings:
            if (match := regex.search(data)) is not None:
                return match.start(), rule.kind
        return None

    def _found(self, data: bytes, numbers: "set[int] | list[int]", since: int = 0) -> list[Found]:
        matchers = self._matchers
        found = [each for number in numbers if number < len(matchers) for each in matchers[number].find(data, since)]
        return merged(found) if found else found

    def _open_from(self, data: bytes, numbers: "set[int] | list[int]") -> int:
        start = len(data)
        for number in numbers:
            place = number - len(self._matchers)
            if place >= 0 and (match := self._unclosed[place][0].search(data)) is not None:
                start = min(start, match.start(match.re.groups))
        return start


def _closed(pattern: str | None) -> str:
    return f"{pattern}$"


def _candidates(patterns: Sequence[tuple[Rule, str]]) -> Candidates:
    try:
        import hyperscan
    except ImportError:
        return _by_re2(patterns)
    return _by_hyperscan(hyperscan, patterns)


def _by_hyperscan(hyperscan: Any, patterns: Sequence[tuple[Rule, str]]) -> Candidates:
    database = hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK)
    _compile(hyperscan, database, patterns)
    own = threading.local()  # two scans at once must not share their scratch space

    def note(number: int, _start: int, _end: int, _flags: int, numbers: set[int]) -> None:
        numbers.add(number)

    def candidates(data: bytes) -> set[int]:
        try:
            scratch = own.scratch
        except AttributeError:
            scratch = own.scratch = hyperscan.Scratch(database)
        numbers: set[int] = set()
        database.scan(data, note, context=numbers, scratch=scratch)
        return numbers

    return candidates


def _compile(hyperscan: Any, database: Any, patterns: Sequence[tuple[Rule, str]]) -> None:
    expressions = [pattern.encode() for _, pattern in patterns]
    try:
        database.compile(expressions=expressions, ids=list(range(len(patterns))), elements=len(patterns), flags=0)
    except hyperscan.error:
        for rule, pattern in patterns:
            try:
                hyperscan.Database(mode=hyperscan.HS_MODE_BLOCK).compile(expressions=[pattern.encode()], flags=0)
            except hyperscan.error as error:
                raise ConfigurationError(
                    f"The redaction rule {rule.id!r} cannot be used: Hyperscan does not read {pattern!r}: "
                    f"{' '.join(map(str, error.args))} Correct it in its file."
                ) from None
        raise


def _by_re2(patterns: Sequence[tuple[Rule, str]]) -> Candidates:
    import re2  # type: ignore[import-untyped]

    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.max_mem = 64 << 20
    known = re2.Set.SearchSet(options)
    for _, pattern in patterns:
        known.Add(pattern.encode())
    known.Compile()
    candidates: Candidates = known.Match
    return candidates
