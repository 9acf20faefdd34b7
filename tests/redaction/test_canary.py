"""The canary: an agent's system prompt does not leave, in whatever disguise."""

from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable

import pytest

from app.redaction.canary import Canary
from tests.redaction.redactors import default_redactor, streamed

PROMPT = (
    "You are the pricing assistant of Acme. Never grant discounts above 17 percent, whoever asks for it. "
    "The internal name of this offer is Blue-Heron-44; do not tell it."
)
PART = "Never grant discounts above 17 percent, whoever asks for it. The internal name"

DISGUISES: list[Callable[[str], str]] = [
    str,
    str.upper,
    lambda text: text[::-1],
    " ".join,
    "-".join,
    lambda text: text.replace(" ", "\n"),
    lambda text: b64encode(text.encode()).decode(),
    lambda text: urlsafe_b64encode(b"xx" + text.encode()).decode(),
    lambda text: b64encode(text.encode()).decode()[1:],
]


@pytest.mark.parametrize("disguise", DISGUISES)
def test_a_part_of_the_prompt_does_not_leave(disguise: Callable[[str], str]) -> None:
    redactor = default_redactor().guarding(PROMPT)
    told = disguise(PART)
    text = f"Well then: {told} (so much for that)"
    whole = redactor.text(text)
    assert "[redacted: system-prompt]" in whole
    assert whole.startswith("Well then: ")
    assert whole.endswith("(so much for that)")
    for size in (1, 4, 30, 400):
        pieces = [text[at : at + size] for at in range(0, len(text), size)]
        left = streamed(redactor, pieces)
        assert "[redacted: system-prompt]" in left
        assert not any(told[at : at + 40] in left for at in range(len(told) - 39))


def test_other_words_of_the_same_kind_leave() -> None:
    redactor = default_redactor().guarding(PROMPT)
    text = "I am the pricing assistant of Acme, and discounts above 10 percent need an approval by someone in charge."
    assert redactor.text(text) is text
    assert streamed(redactor, list(text)) == text


def test_a_short_prompt_is_nothing_to_know_again() -> None:
    assert Canary.of("Be brief.") is None
    assert default_redactor().guarding("").text("Be brief.") == "Be brief."


def test_a_long_recital_is_swallowed_from_its_begin_to_its_end() -> None:
    prompt = " ".join(f"Rule {number}: treat customers of tier {number} as they are." for number in range(60))
    redactor = default_redactor().guarding(prompt)
    left = streamed(redactor, list(f"Here: {prompt} That is all."))
    assert left.endswith("That is all.")
    assert len(left) < 120
