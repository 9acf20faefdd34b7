"""False redactions: mails, reviews and documentation without a secret stay as they are."""

import sysconfig
from importlib.metadata import distributions
from pathlib import Path

import pytest

from tests.redaction import benign
from tests.redaction.benign_threads import KINDS, pasted
from tests.redaction.planted import PLACEHOLDER
from tests.redaction.redactors import redactor_of

MOST_PER_100_KB = 1


def documentation() -> str:
    """The descriptions of the installed packages: examples, badges, changes."""
    return "\n".join(each.read_text("METADATA") or "" for each in distributions())


def library() -> str:
    """A third of Python's own library: code that handles passwords and tokens, with their names in it."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return "\n".join(each.read_text("utf-8") for each in files[::3])


@pytest.mark.parametrize(
    "text",
    [benign.mails(200), benign.reviews(200), documentation(), library()],
    ids=["mails", "reviews", "documentation", "library"],
)
def test_at_most_one_redaction_in_100_kb_of_text_without_secrets(text: str) -> None:
    redactor = redactor_of("secrets", "cards", "ibans", "national-ids")
    said = redactor.text(text)
    found = PLACEHOLDER.findall(said)
    assert len(found) <= MOST_PER_100_KB * len(text) / 100_000, found


@pytest.mark.parametrize(
    "text",
    [
        "Set OPENAI_API_KEY=sk-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "STRIPE: sk_live_YOUR_API_KEY_GOES_HERE",
        "export MISTRAL_API_KEY=<your key>, or MISTRAL_API_KEY=$KEY",
        "api_key = settings.mistral_api_key",
        "DATABASE_URL=postgresql://user:password@localhost:5432/app",
        "the SSN 000-12-3456 was never given out",
        "order 36574261890 is no tax id, and 123456782 is a number",
    ],
)
def test_placeholders_and_names_stay(text: str) -> None:
    assert redactor_of("secrets", "cards", "ibans", "national-ids").text(text) == text


@pytest.mark.parametrize("kind", KINDS)
def test_what_people_paste_stays(kind: str) -> None:
    text = pasted(kind, 100)
    said = redactor_of("secrets", "cards", "ibans", "national-ids").text(text)
    assert len(PLACEHOLDER.findall(said)) <= MOST_PER_100_KB * len(text) / 100_000


def test_an_articles_and_a_devices_number_are_no_cards() -> None:
    for number in ("4012888888881", "502086763990969", "674434214145316"):
        assert redactor_of("cards").text(f"No. {number}") == f"No. {number}"
