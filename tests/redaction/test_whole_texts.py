"""Whole texts and JSON values: what is taken out of them, and what stays."""

import pytest

from app.errors import GuardUnavailable
from app.redaction.engine import RuleRedactor
from tests.redaction.redactors import default_redactor, failures, found, redactor_of, rules


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Pay with 4111 1111 1111 1111, please", "Pay with [redacted: card], please"),
        ("Pay with 4111-1111-1111-1111.", "Pay with [redacted: card]."),
        ("4111111111111111", "[redacted: card]"),
        ("99 12 4111 1111 1111 1111 12/29", "99 12 [redacted: card] 12/29"),
        ("DE89 3704 0044 0532 0130 00 is my IBAN", "[redacted: iban] is my IBAN"),
        ("für Grüße: 4111 1111 1111 1111, danke", "für Grüße: [redacted: card], danke"),
    ],
)
def test_numbers_with_the_right_check_digits_are_taken_out(text: str, clean: str) -> None:
    assert default_redactor().text(text) == clean


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112",
        "DE89 3704 0044 0532 0130 01",
        "0000 0000 0000 0000",
        "1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20",
        "jane.doe@example.org or +49 30 901820",
        'token = os.environ["TOKEN"]',
        "password: required, at least 8 characters",
    ],
)
def test_what_is_none_stays_the_very_text(text: str) -> None:
    assert default_redactor().text(text) is text


def test_addresses_and_numbers_of_people_go_where_that_is_wanted() -> None:
    both = redactor_of("emails", "phones")
    assert both.text("jane.doe@example.org or +49 30 901820") == "[redacted: email] or [redacted: phone]"


def test_values_are_cleaned_in_their_strings_and_keys_and_a_key_counts_for_its_value() -> None:
    value = {"n": 1, "password": "hunter2-Sommer", "list": ["4111 1111 1111 1111", None], "4111111111111111": True}
    assert default_redactor().value(value) == {
        "n": 1,
        "password": "[redacted: secret]",
        "list": ["[redacted: card]", None],
        "[redacted: card]": True,
    }


def test_a_value_in_which_there_is_nothing_is_the_value_itself() -> None:
    value = {"city": "Paris", "days": [1, 2, {"x": "4111 1111 1111 1112"}]}
    assert default_redactor().value(value) is value


def test_finds_are_counted_by_kind() -> None:
    before = found["card"]
    default_redactor().text("4111 1111 1111 1111 and 378282246310005")
    assert found["card"] == before + 2


def test_whether_a_text_holds_something_is_told_without_counting_it() -> None:
    before = found["card"]
    assert default_redactor().holds("see:\n4111 1111 1111 1111")
    assert not default_redactor().holds("see:\n4111 1111 1111 1112")
    assert found["card"] == before


def test_a_text_that_cannot_be_looked_at_does_not_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    redactor = RuleRedactor.of(rules("cards"), lambda _: None, lambda: failures.append("scan"))

    def broken(*_: object) -> None:
        raise RuntimeError("out of scratch space")

    monkeypatch.setattr(redactor._scan._scanner, "candidates", broken)
    failures.clear()
    for look in (redactor.text, redactor.value, redactor.filter().feed, redactor.holds):
        with pytest.raises(GuardUnavailable):
            look("Hello there, ")
    assert len(failures) == 4
