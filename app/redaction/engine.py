"""The Redactor: rules, a scanner, and one filter a stream. Loaded only where something is redacted."""

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from app.redaction.canary import Canary
from app.redaction.candidates import Stays, unheard
from app.redaction.matching import Found
from app.redaction.redactor import PLACEHOLDER, Redactor, TextFilter
from app.redaction.rule import Rule
from app.redaction.scanner import Scanner
from app.redaction.scanning import Failed, Scanning
from app.redaction.stream import Filter
from app.redaction.values import texts_of

_PROMPTS = 64  # of agents, whose canaries are kept
_MARKER = re.compile(r"(?:^|(?<=[(|:b]))(?<!\(\?)[A-Za-z]{2,4}")
_MARKED = 80  # characters of a pattern in which they are


class RuleRedactor:
    """A Redactor of rules. All its methods raise GuardUnavailable where a text cannot be looked at."""

    def __init__(self, scanning: Scanning) -> None:
        self._scan = scanning
        self._guarding = lru_cache(_PROMPTS)(lambda prompt: RuleRedactor(scanning.guarding(Canary.of(prompt))))

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
        found = self._scan.whole(text)
        return self._without(text, found) if found else text

    def value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if not isinstance(value, dict | list | tuple):
            return value
        return self._clean(value) if self._scan.whole("\n".join(texts_of(value))) else value

    def filter(self, before: str = "") -> TextFilter:
        return Filter(self._scan, before)

    def holds(self, text: str) -> bool:
        return self._scan.holds(text.encode("utf-8", "surrogatepass"))

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
