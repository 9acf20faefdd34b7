"""docs/safety.md: every test that it names is there, every link leads somewhere, every rule that it shows loads."""

import re
from functools import cache
from pathlib import Path

import pytest

from app.redaction.rule import OWN, load
from app.safety.rule_file import read_files

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
TEXT = (DOCS / "safety.md").read_text()
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)


@cache
def names_of_tests() -> frozenset[str]:
    files = (path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    return frozenset(name for text in files for name in re.findall(r"def (test_\w+)\(", text))


def test_every_file_of_tests_that_is_named_is_there() -> None:
    for name in re.findall(r"`(tests/[\w/.{},]+?)(?:::\w+)?`", TEXT):
        first, _, rest = name.partition("{")
        named = [f"{first}{each}{rest.partition('}')[2]}" for each in rest.partition("}")[0].split(",")]
        for path in named:
            assert (ROOT / path).exists(), path


def test_every_test_that_is_named_is_there() -> None:
    named = set(re.findall(r"(?:`|::)(test_\w+)`", TEXT))
    assert len(named) > 50
    assert named <= names_of_tests()


def test_links_lead_to_pages_and_headings() -> None:
    headings = {
        re.sub(r"[^\w -]", "", line).strip().lower().replace(" ", "-") for line in re.findall(r"^#+ (.*)", TEXT, re.M)
    }
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        if target.startswith("#"):
            assert target[1:] in headings
        elif not target.startswith("http"):
            assert (DOCS / target).exists()


def test_the_rule_for_input_that_is_shown_loads(tmp_path: Path) -> None:
    [shown] = [text for text in YAML if "terms:" in text]
    (tmp_path / "mine.yaml").write_text(shown)
    assert any(rule.id == "drop-house-rules" for file in read_files(tmp_path) for rule in file.rules)


def test_the_rule_for_secrets_that_is_shown_loads(tmp_path: Path) -> None:
    [shown] = [text for text in YAML if "kind: acme-key" in text]
    (tmp_path / "mine.yaml").write_text(shown)
    [rule] = load([tmp_path])
    assert rule.kind == "acme-key"


@pytest.mark.parametrize("name", ["LLM", "ASI"])
def test_each_item_of_the_lists_has_its_row(name: str) -> None:
    assert re.findall(rf"^\| {name}(\d\d) ", TEXT, re.MULTILINE) == [f"{number:02}" for number in range(1, 11)]


def test_it_says_how_many_rules_for_secrets_there_are_and_how_many_are_guesses() -> None:
    rules = load([OWN])
    secrets = [rule for rule in rules if rule.group == "secrets"]
    formats = [rule for rule in secrets if rule.checksum != "assigned"]
    guesses = sum(not rule.verified for rule in secrets)
    kinds = len({rule.kind for rule in secrets})
    assert f"{len(rules)} of them, {kinds} kinds of secrets ({len(secrets)} rules)" in TEXT
    assert f"{len(secrets) - len(formats)} of these rules know only the name" in TEXT
    assert f"Of the other {len(formats)}, {guesses} are marked `verified: false`" in TEXT
