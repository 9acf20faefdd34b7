"""The veto: which questions are the same, and that no near miss is."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.runs.veto import vetoed
from app.runs.wording import wording
from tests.runs.near_misses import Pair, from_templates, near_misses, paraphrases, written

NEAR_MISSES = near_misses()
POLITE = ("{}", "Please {}", "Hi, {}", "{} Thanks!", "{}, please", "Could you please {}", "Can you tell me {}", " {} ")


def test_there_are_near_misses_of_many_kinds() -> None:
    assert len(set(NEAR_MISSES)) >= 500
    assert len(written()) >= 120
    assert len(from_templates()) >= 280


def test_no_near_miss_is_the_same_question() -> None:
    assert [pair for pair in NEAR_MISSES if vetoed(*pair) is None] == []


@pytest.mark.parametrize("polite", POLITE)
def test_politeness_makes_no_near_miss_the_same_question(polite: str) -> None:
    pairs = [pair for pair in NEAR_MISSES if not _differs_in_that(pair)]
    forms = [(polite.format(a), b) for a, b in pairs] + [(a, polite.format(b)) for a, b in pairs]
    forms += [(polite.format(a), polite.format(b)) for a, b in pairs]
    assert [pair for pair in forms if vetoed(*pair) is None] == []


def _differs_in_that(pair: Pair) -> bool:
    """In politeness, or in a mark at the end, which politeness changes."""
    return pair.a.rstrip(".?!") == pair.b.rstrip(".?!") or any("please" in text.lower() for text in pair)


def test_most_paraphrases_that_only_differ_in_form_are_the_same_question() -> None:
    pairs = paraphrases()
    same = sum(vetoed(*pair) is None for pair in pairs)
    print(f"{same} of {len(pairs)} paraphrases are taken as the same question")
    assert len(pairs) >= 100
    assert same > 0


TEXTS = sorted({text for pair in [*NEAR_MISSES, *paraphrases()] for text in pair})


@given(st.sampled_from(TEXTS), st.sampled_from(TEXTS))
def test_the_veto_does_not_depend_on_which_came_first(a: str, b: str) -> None:
    assert (vetoed(a, b) is None) == (vetoed(b, a) is None)


@given(st.text(min_size=1))
def test_a_text_is_the_same_question_as_itself_or_none_at_all(text: str) -> None:
    assert vetoed(text, text) is None or not wording(text).words


@given(st.text(), st.text())
def test_texts_of_other_letters_and_numbers_are_never_the_same_question(a: str, b: str) -> None:
    def telling(text: str) -> list[str]:
        return [char for char in text if char.isalnum()]

    if telling(a.lower()) != telling(b.lower()) and vetoed(a, b) is None:
        assert wording(a).form == wording(b).form


@given(st.sampled_from(paraphrases()))
def test_the_same_questions_have_the_same_form(pair: Pair) -> None:
    if vetoed(*pair) is None:
        assert wording(pair.a).form == wording(pair.b).form


PLAIN = [pair.a for pair in paraphrases()] + [pair.a for pair in from_templates()]
OTHER = ("not", "only", "Paris", "7", "more", "never", "x", "the", "first", "some", "nicht", "plus", "no", "a")


@given(st.sampled_from(PLAIN), st.sampled_from(OTHER), st.randoms(use_true_random=False))
def test_one_word_more_or_another_word_is_another_question(text: str, word: str, chance: random.Random) -> None:
    words = text.split()
    place = chance.randrange(len(words))
    assert vetoed(text, " ".join([*words[:place], word, *words[place:]]))
    if words[place].lower().strip("?") != word.lower():
        assert vetoed(text, " ".join([*words[:place], word, *words[place + 1 :]]))


@given(st.sampled_from(PLAIN), st.randoms(use_true_random=False))
def test_one_letter_or_digit_more_or_less_is_another_question(text: str, chance: random.Random) -> None:
    places = [place for place, char in enumerate(text) if char.isalnum()]
    place = chance.choice(places)
    for changed in (
        text[:place] + text[place + 1 :],
        text[:place] + "q" + text[place:],
        text[:place] + "7" + text[place:],
    ):
        assert vetoed(text, changed), changed


@pytest.mark.parametrize(
    ("a", "b", "reason"),
    [
        ("What is 2 plus 2?", "What is 2 plus 3?", "number"),
        ("What is two plus two?", "What is two plus three?", "number"),
        ("See https://a.example/x", "See https://a.example/y", "link"),
        ("What is foo_a?", "What is foo_b?", "code"),
        ("Is it safe?", "Is it not safe?", "negation"),
        ("Open on Monday?", "Open on Sunday?", "date"),
        ("In miles?", "In kilometers?", "unit"),
        ("Do all birds fly?", "Do some birds fly?", "quantifier"),
        ("Is it before noon?", "Is it after noon?", "comparison"),
        ("Who is that?", "What is that?", "question"),
        ("Where is Oslo?", "Where is Rome?", "name"),
        ("dog bites man", "man bites dog", "order"),
        ("You are coming.", "You are coming?", "mark"),
        ("法国的首都", "the capital", "language"),
        ("a red door", "a blue door", "wording"),
    ],
)
def test_a_veto_says_what_differs(a: str, b: str, reason: str) -> None:
    assert vetoed(a, b) == reason


@pytest.mark.parametrize("blank", ["", " ", "\n", "\u3000"])
def test_nothing_is_no_question(blank: str) -> None:
    assert vetoed(blank, blank) is not None
