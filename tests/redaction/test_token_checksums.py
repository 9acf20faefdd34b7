"""Checks of keys: what a provider computed passes, and one other character does not."""

import pytest

from app.redaction.checksums import CHECKSUMS
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


@pytest.mark.parametrize("text", ["", "_", ".", "é" * 9, "\x00", "1" * 400, "a_b_c", "=" * 8, "eyJ.a.b"])
def test_no_check_raises(text: str) -> None:
    assert {check(text) for check in CHECKSUMS.values()} <= {True, False}
