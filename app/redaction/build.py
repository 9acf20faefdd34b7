"""The redactor that the settings ask for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from app.redaction.redactor import Redactor
from app.settings import Settings

if TYPE_CHECKING:
    from app.redaction.rule import Rule

Count = Callable[[str, str], None]
"""Told of each find: its kind, and the word of REDACT that it belongs to; a system prompt is of its own."""


def build_redactor(
    settings: Settings,
    count: Count,
    failed: Callable[[], None],
    stays: Callable[[str], None] | None = None,
) -> Redactor | None:
    """None if nothing is to be redacted: nothing is loaded then. `stays` is told why a process cannot use Hyperscan.
    Raises ConfigurationError for a rule that cannot be used."""
    if not settings.redact:
        return None
    from app.redaction.candidates import unheard
    from app.redaction.engine import RuleRedactor

    rules = _rules(settings)
    groups = {rule.kind: rule.group for rule in rules}
    return RuleRedactor.of(rules, lambda kind: count(kind, groups.get(kind, kind)), failed, stays or unheard)


def compile_patterns(settings: Settings) -> None:
    """Have them compiled on this machine, or in the image that is being made: processes then load them."""
    from app.redaction.candidates import by_hyperscan
    from app.redaction.scanner import patterns_of

    by_hyperscan(patterns_of(_rules(settings)))


def _rules(settings: Settings) -> "list[Rule]":
    from app.redaction.rule import OWN, load

    folders = [OWN] if settings.redaction_rules_dir is None else [OWN, settings.redaction_rules_dir]
    return [each for each in load(folders) if each.group in settings.redact]
