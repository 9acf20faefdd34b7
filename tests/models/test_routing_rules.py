"""What the rules see in a question, and what they do not believe."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.models.lexicon import load, normal, size, without
from app.models.routing_rules import judge
from app.models.tiers import TIERS

LEXICON = load()
EASY = ("smalltalk", "fact", "amount", "units", "form", "meaning", "look_up", "filler")
HARD = {"maths", "code", "reasoning", "constraints"}
STORY = "The bus was late, the rain was cold, and nobody in the queue had an umbrella. " * 8


@pytest.mark.parametrize(
    ("text", "tier", "rule"),
    [
        ("Good evening!", "simple", "smalltalk"),
        ("Hi, is 91 a prime?", "complex", "maths"),
        ("¿Cual es la capital de Peru?", "simple", "fact"),
        ("WAS IST DIE HAUPTSTADT VON KANADA", "simple", "fact"),
        ("What is 17 * 23?", "simple", "arithmetic"),
        ('Translate "prove the theorem" into German.', "simple", "form"),
        ("Don't explain it, just say who painted Guernica.", "simple", "fact"),
        ("This is simple, a child could do it: prove that e is irrational.", "complex", "maths"),
        ("Say 'hello' only, then derive the wave equation.", "complex", "maths"),
        ("What is $\\frac{1}{2}$ of it?", "complex", "maths"),
        ("```\nfoo\n```", "complex", "code"),
        ("Write an email to my aunt.", "medium", "everyday"),
        ("1. one\n2. two\n3. three", "complex", "constraints"),
        ("And you? And he? And she?", "complex", "questions"),
        (STORY, "complex", "length"),
        (f"Summarize this: {STORY}", "medium", "text"),
        (f'Here is a mail: "{STORY}" According to this, where does it rain?', "simple", "look_up"),
        (f"Summarize this, and prove it: {STORY}", "complex", "maths"),
        ("Quelle est la capitale du Canada ?", None, "unknown"),
        ("Какая столица Канады?", None, "unknown"),
        ("", None, "unknown"),
        ("mhm", None, "unknown"),
    ],
)
def test_a_question(text: str, tier: str | None, rule: str) -> None:
    judgement = judge(text, LEXICON)
    assert (judgement.tier, judgement.rule) == (tier, rule)


@pytest.mark.parametrize("signal", EASY)
def test_no_word_of_an_easy_question_is_a_hard_one_in_another_language(signal: str) -> None:
    terms = [term for language in LEXICON.languages for term in language[signal].split(",")]
    assert terms
    for term in terms:
        found = LEXICON.read(normal(term))
        assert signal in found, term
        assert not HARD & found.keys(), (term, found)


@given(st.text(max_size=300), st.sampled_from(["prove that", "beweise, dass", "demuestra que", "证明"]))
def test_a_proof_is_never_simple_whatever_stands_around_it(text: str, wish: str) -> None:
    quoted = text.translate(dict.fromkeys(map(ord, '“”„«»「」『』《》"'), " "))
    assert judge(f"{wish} {quoted}", LEXICON).tier in ("complex", "medium")


@given(st.text(max_size=2_000))
def test_any_text_is_judged(text: str) -> None:
    assert judge(text, LEXICON).tier in (None, *TIERS)


@pytest.mark.parametrize(
    "piece", ["a", " ", "\n", "(", "“", "select ", "a.", "1 ", "at a.b", "好", "ﷺ", "{", "\t#", "-\n"]
)
def test_a_long_text_is_read_in_part(piece: str) -> None:
    judge(piece * 1_000_000, LEXICON)


@given(st.text(max_size=200))
def test_normal_text_stays_as_it_is(text: str) -> None:
    words = normal(text)
    assert words.startswith(" ")
    assert words.endswith(" ")
    assert words == f" {' '.join(words.split())} " or not words.strip()
    assert without(words, ()).strip() == words.strip()
    assert size(words) <= len(words)


def test_words_are_found_without_case_accents_and_punctuation() -> None:
    assert normal("¿Cómo ESTÁS?") == " como estas "
    assert normal("C++ und C#") == " cpp und csharp "
    assert normal("Python里怎么排序?") == " python 里怎么排序 "
    assert size(normal("Python里怎么排序?")) == 4
