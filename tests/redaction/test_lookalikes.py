"""What is a password, and what is only a word, a name or a placeholder."""

from collections.abc import Callable

import pytest

from app.redaction.lookalikes import LOOKALIKES


@pytest.mark.parametrize("text", ["hunter2-Sommer", "s3cret", "Winter-2024!", "k3y-9f8e7d6c5b4a", "Correct4Horse9"])
def test_what_was_chosen_as_a_password_is_a_credential(text: str) -> None:
    assert LOOKALIKES["credential"](text)


@pytest.mark.parametrize(
    "text",
    ["settings.secret_key2", "required", "user_id_1", "2026-11-30", "v1.2.3", "my-app-v2", "password1", "min_length=8"],
)
def test_names_numbers_and_words_are_none(text: str) -> None:
    assert not LOOKALIKES["credential"](text)


def test_a_passphrase_is_words_but_no_sentence() -> None:
    assert LOOKALIKES["passphrase"]("correct horse battery staple")
    assert not LOOKALIKES["passphrase"]("must have at least eight characters")


@pytest.mark.parametrize("check", LOOKALIKES.values(), ids=LOOKALIKES)
@pytest.mark.parametrize("unit", ["-", "_", "a_", "a.1", "=", "->", "Aa", "/", "a1", "::", "0"])
def test_long_texts_are_read_once(check: Callable[[str], bool], unit: str) -> None:
    assert check(unit * 20_000 + "!") in (True, False)
