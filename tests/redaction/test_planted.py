"""Recall: every rule finds the secrets that are made from its provider's format."""

import pytest

from app.redaction import rule
from app.redaction.engine import RuleRedactor
from tests.redaction.planted import FORMATS, planted
from tests.redaction.redactors import redactor_of

RULES = {each.id: each for each in rule.load([rule.OWN])}


@pytest.fixture(scope="module")
def redactor() -> RuleRedactor:
    return redactor_of("secrets", "cards", "ibans", "national-ids")


def test_at_least_150_kinds_of_keys_have_rules() -> None:
    assert len({each.kind for each in RULES.values() if each.group == "secrets"}) >= 150


def test_planted_secrets_are_the_same_for_the_same_seed() -> None:
    assert list(planted(seed=3)) == list(planted(seed=3))
    assert list(planted(seed=3)) != list(planted(seed=4))


def test_each_rule_that_is_on_by_default_has_a_format() -> None:
    assert set(FORMATS) == {each.id for each in RULES.values() if each.group not in ("emails", "phones")}


def test_no_piece_of_a_planted_secret_is_left(redactor: RuleRedactor) -> None:
    left = []
    for one in planted(seed=1, each=3):
        said = redactor.text(f"The log says:\n{one.text}\nWhat does it mean?")
        if "[redacted: " not in said or one.leaks(said):
            left.append(one)
    assert left == []
