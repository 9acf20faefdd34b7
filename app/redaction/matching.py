"""A rule, compiled: where in a text it finds something that its checksum and the words before it confirm."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from app.errors import ConfigurationError
from app.redaction.checksums import CHECKSUMS, Check
from app.redaction.rule import Rule

NEAR_BYTES = 64
"""How far before a secret the words are looked for that a rule wants near it."""


TOKEN = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz-_.~+/=%"
"""What may go on with a word that is taken out."""


class Found(NamedTuple):
    """Bytes of a text that are to be taken out."""

    start: int
    end: int
    kind: str
    named: bool
    """The rule knows what it found by itself, not by what stands before it."""
    until: Any = None
    """The compiled pattern of its end, where that has not come."""
    rank: tuple[bool, int] = (False, 0)
    """Of its rule: general ones after the others, then in the order of the files."""


class Matcher:
    """Of one rule, by RE2: exact spans."""

    def __init__(self, rule: Rule, place: int = 0) -> None:
        """Raises ConfigurationError for a rule that cannot be used."""
        self.rule = rule
        self._rank = (rule.general, place)
        self.check: Check | None = None if rule.checksum is None else _check_of(rule)
        self._in_groups = rule.checksum is not None and rule.group != "secrets"
        self._near = tuple(word.encode() for word in rule.near)
        self._regex = compiled(rule, rule.pattern)
        self._until = compiled(rule, rule.until) if rule.until else None
        self._group = 1 if self._regex.groups else 0
        if getattr(self._regex, "grouped", False):
            self.check = None

    def find(self, data: bytes, lower: bytes, since: int = 0) -> Iterator[Found]:
        """`lower` is the same in small letters. What ends before `since` may be left out."""
        if self._near and not any(word in lower for word in self._near):
            return
        at, size = (since if self.check and not self._group else 0), len(data)
        while at < size and (match := self._regex.search(data, at)) is not None:
            start, end = match.span(self._group)
            near = self._is_near(lower, match.start())
            if near and self.check is not None:
                end = self._confirmed(match, data, start, end)
            if near and end > start >= 0:
                yield self._found(data, start, end)
                at = max(end, match.start() + 1)
            else:
                at = _next_group(data, match.start(), match.end()) if self._in_groups else max(match.end(), at + 1)

    def _found(self, data: bytes, start: int, end: int) -> Found:
        if self._until is None:
            return Found(start, end, self.rule.kind, not self._group, rank=self._rank)
        closing = self._until.search(data, end)
        if closing is None:
            return Found(start, len(data), self.rule.kind, True, self._until, self._rank)
        end = len(data) - len(data[closing.end() :].lstrip(TOKEN))
        return Found(start, end, self.rule.kind, True, rank=self._rank)

    def _confirmed(self, match: Any, data: bytes, start: int, end: int) -> int:
        """The end of what passes the check: of all of it, or of as many of its first groups; 0 if nothing does."""
        assert self.check is not None  # noqa: S101 - for the type checker
        said = data[start:end].decode("latin-1")
        while said:
            if self.check(said):
                whole = start + len(said)
                if whole == end or self._regex.fullmatch(data, match.start(), whole) is not None:
                    return whole
            if not self._in_groups:
                break
            said = said[: max(said.rfind(" "), said.rfind("-"), 0)].rstrip(" -")
        return 0

    def _is_near(self, lower: bytes, start: int) -> bool:
        if not self._near:
            return True
        before = lower[max(0, start - NEAR_BYTES) : start]
        return any(word in before for word in self._near)


def _next_group(data: bytes, start: int, end: int) -> int:
    """Where the second group of digits or letters begins, of what was found: something else may begin there."""
    places = [place for place in (data.find(b" ", start + 1, end), data.find(b"-", start + 1, end)) if place > 0]
    return min(places) + 1 if places else max(end, start + 1)


def _check_of(rule: Rule) -> Check:
    check = CHECKSUMS.get(rule.checksum or "")
    if check is None:
        raise unusable(rule, f"there is no checksum {rule.checksum!r}; known: {', '.join(sorted(CHECKSUMS))}")
    return check


def compiled(rule: Rule, pattern: str) -> Any:
    """By RE2, for bytes; by Hyperscan where there is no RE2. Raises ConfigurationError."""
    try:
        import re2  # type: ignore[import-untyped]
    except ImportError:
        from app.redaction.by_hyperscan import Regex

        return Regex(pattern)
    options = re2.Options()
    options.encoding = re2.Options.Encoding.LATIN1
    options.log_errors = False
    try:
        regex = re2.compile(pattern.encode(), options)
    except re2.error as error:
        raise unusable(rule, f"RE2 does not read {pattern!r}: {_words(error)}") from None
    if regex.groups > 1 or regex.search(b"") is not None:
        raise unusable(rule, f"{pattern!r} has more than one capturing group, or matches an empty text")
    return regex


def _words(error: BaseException) -> str:
    said = error.args[0] if error.args else error
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def unusable(rule: Rule, why: str) -> ConfigurationError:
    """What a rule that cannot be used stops the start with."""
    return ConfigurationError(f"The redaction rule {rule.id!r} cannot be used: {why}. Correct it in its file.")
