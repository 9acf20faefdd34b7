"""Redactors of the service's own rules, and what they say of what they find."""

from collections import Counter
from functools import cache

from app.redaction import rule
from app.redaction.engine import RuleRedactor
from app.redaction.redactor import Redactor
from app.redaction.rule import Rule

found: Counter[str] = Counter()
"""Finds of all redactors here, by kind."""
failures: list[str] = []


@cache
def rules(*groups: str) -> tuple[Rule, ...]:
    """Those of the groups; all of the service's own, if none is given."""
    return tuple(each for each in rule.load([rule.OWN]) if not groups or each.group in groups)


@cache
def redactor_of(*groups: str) -> RuleRedactor:
    return RuleRedactor.of(rules(*groups), lambda kind: found.update([kind]), lambda: failures.append("scan"))


def default_redactor() -> RuleRedactor:
    """As REDACT has it, if nobody sets it."""
    return redactor_of("secrets", "cards", "ibans", "national-ids")


def streamed(redactor: Redactor, pieces: list[str], before: str = "") -> str:
    """What leaves of a text that comes in these pieces."""
    held = redactor.filter(before)
    return "".join([*map(held.feed, pieces), held.end()])
