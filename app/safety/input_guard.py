"""The guard of what comes in: rules, matched in this process."""

import hashlib
from collections.abc import Sequence

import msgspec

from app.errors import GuardUnavailable
from app.safety.matching import RuleSet
from app.safety.rule_file import RuleFile, read_files
from app.safety.verdict import ALLOWED, Source, Verdict
from app.settings import Settings
from app.telemetry.guard_errors import guard_failed


class RuleGuard:
    """An InputGuard. One rule that blocks decides; else the first that flags."""

    def __init__(self, files: Sequence[RuleFile]) -> None:
        """Raises ConfigurationError for a rule that cannot be matched."""
        self._rules = RuleSet(files)
        self.policy = hashlib.sha256(msgspec.json.encode(files)).hexdigest()[:16]
        """The version of the rules."""
        self.ids = tuple(rule.id for rule in self._rules.rules)

    def check(self, text: str, source: Source) -> Verdict:
        flagged = ALLOWED
        try:
            for rule in self._rules.met(text):
                if source not in rule.sources:
                    continue
                if rule.verdict == "block":
                    return Verdict("block", rule.id, rule.category)
                if flagged is ALLOWED:
                    flagged = Verdict("flag", rule.id, rule.category)
        except Exception:  # noqa: BLE001 - whatever it is: a text that was not looked at does not pass
            guard_failed("input", "error")
            raise GuardUnavailable from None
        return flagged


def build_input_guard(settings: Settings) -> RuleGuard:
    """Raises ConfigurationError."""
    return RuleGuard(read_files(settings.guard_rules_dir))
