"""What is looked at once: an answer that nobody reads before its end, and a text that comes again."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import GuardUnavailable
from app.redaction.engine import RuleRedactor
from app.redaction.known import MAX_CHARS, Known
from tests.redaction.redactors import default_redactor, rules

CARD = "4111 1111 1111 1111"
PROMPT = "You are the concierge of a small hotel in the mountains and speak like a captain."
PIECES = st.lists(st.one_of(st.text(max_size=6), st.sampled_from(["4111 ", "1111", " ", CARD, "see "])), max_size=9)


def _redactor() -> RuleRedactor:
    return RuleRedactor.of(rules("cards"), lambda _: None, lambda: None)


@pytest.fixture
def redactor(monkeypatch: pytest.MonkeyPatch) -> tuple[RuleRedactor, Counter[bytes]]:
    """With the texts that were scanned."""
    made, scans = _redactor(), Counter[bytes]()
    find = made._scan._scanner.find

    def counted(data: bytes) -> Any:
        scans[data] += 1
        return find(data)

    monkeypatch.setattr(made._scan._scanner, "find", counted)
    return made, scans


@settings(max_examples=80)
@given(PIECES)
def test_a_text_that_is_read_at_its_end_is_what_it_would_be_as_a_whole(pieces: list[str]) -> None:
    told = default_redactor().whole()
    assert [told.feed(piece) for piece in pieces] == [""] * len(pieces)
    text = "".join(pieces)
    said = told.end()
    assert said == default_redactor().text(text)
    assert told.redacted == (said != text)


@settings(max_examples=80)
@given(PIECES, st.sampled_from(["", "before 4111 1111 "]))
def test_a_text_that_is_cut_or_goes_on_is_what_its_reader_would_have_been_told(pieces: list[str], before: str) -> None:
    for cut in (True, not before):
        told, read = default_redactor().whole(before), default_redactor().filter(before)
        for piece in pieces:
            told.feed(piece)
        said = read.feed("".join(pieces)) + read.end(cut=cut)
        assert (told.end(cut=cut), told.redacted) == (said, read.redacted)


def test_a_text_in_which_there_was_nothing_is_scanned_once(redactor: tuple[RuleRedactor, Counter[bytes]]) -> None:
    made, scans = redactor
    for _ in range(3):
        made.text("hello there")
        made.value({"a": ["hello"]})
        assert made.text(f"see {CARD}") == "see [redacted: card]"
    told = made.whole()
    told.feed("hello there")
    assert told.end() == "hello there"
    assert sorted(scans.values()) == [1, 1, 3]


def test_an_empty_text_is_not_scanned(redactor: tuple[RuleRedactor, Counter[bytes]]) -> None:
    made, scans = redactor
    assert (made.text(""), made.value({}), made.value([])) == ("", {}, [])
    assert not scans


def test_what_holds_nothing_for_one_agent_may_hold_the_prompt_of_another() -> None:
    made = _redactor()
    assert made.text(PROMPT) == PROMPT
    assert made.guarding(PROMPT).text(PROMPT) != PROMPT


def test_what_holds_nothing_for_an_agent_is_known_to_the_process(
    redactor: tuple[RuleRedactor, Counter[bytes]],
) -> None:
    made, scans = redactor
    made.guarding(PROMPT).text("hello there")
    made.text("hello there")
    assert sum(scans.values()) == 1


def test_a_scan_that_breaks_lets_nothing_leave_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    made = _redactor()

    def broken(*_: object) -> None:
        raise RuntimeError("out of scratch space")

    monkeypatch.setattr(made._scan._scanner, "find", broken)
    told = made.whole()
    told.feed("hello there")
    with pytest.raises(GuardUnavailable):
        told.end()


def test_what_is_known_is_bounded() -> None:
    known = Known()
    for number in range(200):
        known.add(f"{number}" * 400)
    known.add("x" * MAX_CHARS)
    assert 0 < sum(map(len, known.texts)) <= MAX_CHARS
    assert "x" * MAX_CHARS not in known.texts
