"""Names: of two rules that find the same, the placeholder says what the one knows that says most."""

import pytest

from app.redaction.rule import Examples, Rule
from app.redaction.scanner import Scanner
from tests.redaction.redactors import rules


@pytest.fixture(scope="module")
def scanner() -> Scanner:
    return Scanner(rules())


def _rule(name: str, pattern: str = r"token=(\w{8,})", general: bool = False) -> Rule:
    examples = Examples(positive=("token=abcd1234", "token=abcd5678"), negative=("token", "token="))
    return Rule(name, name, "secrets", pattern, "https://acme.example/keys", examples, general=general)


def _kinds(*known: Rule) -> list[str]:
    return [found.kind for found in Scanner(known).find(b"a token=q8w7e6r5t4 here")]


def test_a_rule_that_knows_the_issuer_names_what_a_general_one_finds_too() -> None:
    general, special = _rule("a-word", general=True), _rule("z-key")
    assert _kinds(general, special) == _kinds(special, general) == ["z-key"]


def test_it_does_so_if_the_general_one_finds_more() -> None:
    general, special = _rule("a-word", general=True), _rule("z-key", r"token=(\w{8})")
    found = Scanner([general, special]).find(b"a token=q8w7e6r5t4 here")
    assert [(each.kind, each.end - each.start) for each in found] == [("z-key", 10)]


def test_of_two_that_know_as_much_the_one_that_stands_earlier_names_it() -> None:
    first, second = _rule("z-key"), _rule("a-key")
    assert _kinds(first, second) == ["z-key"]
    assert _kinds(second, first) == ["a-key"]


@pytest.mark.parametrize(
    ("parts", "kind"),
    [
        (("VAULT_TOKEN=s.", "Cyy72Qaf0ZFt989LrSFBT", "jgg"), "vault-token"),
        (("X-API-Key: sk-ant-api03-", "TUQ_ChWO3PPnlEMaaeofsAUZV7MSXvJBW", "AHx9xqf_tx7iRodTDOH2"), "anthropic-key"),
        (("Authorization: Bearer gsk_", "mLsrRoORQ33hSI6ojFT6EOhhQXS27", "Zyv1kF9rrSCFkvaiVlNZei3"), "groq-key"),
        (("SNYK_TOKEN=bce994ba-b", "992-49b5-ba8a-295c0a6bd2c3"), "snyk-token"),
    ],
)
def test_a_provider_is_named_where_words_around_it_tell_a_secret_too(
    scanner: Scanner, parts: tuple[str, ...], kind: str
) -> None:
    assert [found.kind for found in scanner.find("".join(parts).encode())] == [kind]
