"""Checks of keys: what a provider computed passes, and one other character does not."""

import pytest

from app.redaction.token_checksums import TOKENS
from tests.redaction.planted import plant

CHECKED = {
    "github-token": "crc-of-body",
    "npm-token": "crc-of-body",
    "matrix-token": "crc-of-all",
    "grafana-service-token": "crc-hex",
    "bitcoin-wif": "base58check",
    "bip32-private-key": "base58check",
    "age-identity": "bech32",
}
PUBLISHED = {
    "crc-of-body": "ghp_zQWBuTSOoRi4A9spHcVY5" + "ncnsDkxkJ0mLq17",
    "bech32": "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8U" + "J4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33",
    "base58check": "5HueCGU8rMjxEXxiPuD5BDku4" + "MkFqeZyd4dZ1jvhTVqvbTLvyTJ",
}
"""From the documents that describe the checks: never keys of anything, or revoked long ago."""


@pytest.mark.parametrize(("check", "text"), PUBLISHED.items())
def test_published_examples_pass(check: str, text: str) -> None:
    assert TOKENS[check](text)


@pytest.mark.parametrize(("rule", "check"), CHECKED.items())
def test_another_character_does_not_pass(rule: str, check: str) -> None:
    for seed in range(20):
        secret = plant(rule, seed).secret
        assert TOKENS[check](secret)
        at = len(secret) - 9
        assert not TOKENS[check](secret[:at] + ("Z" if secret[at] != "Z" else "Y") + secret[at + 1 :])


@pytest.mark.parametrize("check", TOKENS.values())
@pytest.mark.parametrize("text", ["", "_", ".", "é" * 9, "\x00", "1" * 400, "a_b_c", "=" * 8, "eyJ.a.b"])
def test_no_check_raises(check: object, text: str) -> None:
    assert check(text) in (True, False)  # type: ignore[operator]


@pytest.mark.parametrize("text", ["hunter2-Sommer", "s3cret", "Winter-2024!", "k3y-9f8e7d6c5b4a", "Correct4Horse9"])
def test_what_was_chosen_as_a_password_is_a_credential(text: str) -> None:
    assert TOKENS["credential"](text)


@pytest.mark.parametrize(
    "text",
    ["settings.secret_key2", "required", "user_id_1", "2026-11-30", "v1.2.3", "my-app-v2", "password1", "min_length=8"],
)
def test_names_numbers_and_words_are_none(text: str) -> None:
    assert not TOKENS["credential"](text)


def test_a_passphrase_is_words_but_no_sentence() -> None:
    assert TOKENS["passphrase"]("correct horse battery staple")
    assert not TOKENS["passphrase"]("must have at least eight characters")
