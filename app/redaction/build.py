"""The redactor that the settings ask for."""

from collections.abc import Callable

from app.redaction.redactor import Redactor
from app.settings import Settings


def build_redactor(settings: Settings, count: Callable[[str], None], failed: Callable[[], None]) -> Redactor | None:
    """None if nothing is to be redacted: nothing is loaded then. Raises ConfigurationError for a rule that cannot be
    used."""
    if not settings.redact:
        return None
    from app.redaction import engine, rule

    folders = [rule.OWN] if settings.redaction_rules_dir is None else [rule.OWN, settings.redaction_rules_dir]
    rules = [each for each in rule.load(folders) if each.group in settings.redact]
    return engine.RuleRedactor.of(rules, count, failed)
