"""The Redactor: rules, a scanner, and one filter a stream. Loaded only where something is redacted."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from app.redaction.canary import Canary
from app.redaction.candidates import Stays, unheard
from app.redaction.known import Known
from app.redaction.matching import Found
from app.redaction.redactor import PLACEHOLDER, Redactor, TextFilter
from app.redaction.rule import Rule
from app.redaction.scanner import Scanner
from app.redaction.scanning import Failed, Scanning
from app.redaction.stream import Filter
from app.redaction.values import texts_of
from app.redaction.whole import Whole

_PROMPTS = 64  # of agents, whose canaries are kept
_MARKER = re.compile(r"(?:^|(?<=[(|:b]))(?<!\(\?)[A-Za-z]{2,4}")
_MARKED = 80  # characters of a pattern in which they are


class RuleRedactor:
    """A Redactor of rules. All its methods raise GuardUnavailable where a text cannot be looked at."""

    def __init__(self, scanning: Scanning, *looser: Known) -> None:
        """`looser`: of redactors that take out less."""
        self._scan = scanning
        self._known = known = Known()
        self._kept = (known, *looser)
        self._guarding = lru_cache(_PROMPTS)(lambda prompt: RuleRedactor(scanning.guarding(Canary.of(prompt)), known))

    @classmethod
    def of(
        cls, rules: Sequence[Rule], count: Callable[[str], None], failed: Failed, stays: Stays = unheard
    ) -> "RuleRedactor":
        """Raises ConfigurationError for a rule that cannot be used. `count` is told the kind of each find."""
        return cls(Scanning(Scanner(rules, stays), markers_of(rules), count, failed))

    def guarding(self, prompt: str) -> Redactor:
        """The same, which takes out a system prompt as well."""
        return self._guarding(prompt) if prompt else self

    def text(self, text: str) -> str:
        found = self._found(text)
        return self._without(text, found) if found else text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if not isinstance(value, dict | list | tuple):
            return value
        return self._clean(value) if value and self._found("\n".join(texts_of(value))) else value

    def filter(self, before: str = "") -> TextFilter:
        return Filter(self._scan, before)

    def whole(self, before: str = "") -> TextFilter:
        return Whole(self.text, self.filter, before)

    def holds(self, text: str) -> bool:
        return self._scan.holds(text.encode("utf-8", "surrogatepass"))

    def _found(self, text: str) -> Sequence[Found]:
        """Nothing, without a look, in a text in which there was nothing before."""
        if not text or text in self._known.texts:
            return ()
        found = self._scan.whole(text)
        if not found:
            for known in self._kept:
                known.add(text)
        return found

    def _without(self, text: str, found: Sequence[Found]) -> str:
        pieces: list[str] = []
        at = 0
        for each in found:
            self._scan.count(each.kind)
            pieces += (text[at : each.start], PLACEHOLDER.format(kind=each.kind))
            at = each.end
        return "".join([*pieces, text[at:]])

    def _clean(self, value: Any, name: str = "") -> Any:
        """With what is found taken out of each string, in which a name before it counts, too."""
        if isinstance(value, str):
            before = f'"{name}": "' if name else ""
            said = self.text(f"{before}{value}")
            return said[len(before) :] if said.startswith(before) else self.text(value)
        if isinstance(value, dict):
            return {self._clean(key): self._clean(each, str(key)) for key, each in value.items()}
        if isinstance(value, list | tuple):
            return type(value)([self._clean(each, name) for each in value])
        return value


def markers_of(rules: Sequence[Rule]) -> tuple[str, ...]:
    """The letters that secrets begin with, as far as their patterns show them."""
    return tuple({marker for rule in rules for marker in _MARKER.findall(rule.pattern[:_MARKED])})
