"""How many of the corpora's texts the rules find, and how many of others they take for attacks."""

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from math import sqrt
from typing import NamedTuple

from app.safety.matching import RuleSet
from app.safety.rule_file import Rule, read_files
from app.safety.verdict import Source
from tests.safety.corpora import Text, attacks, benign


class Met(NamedTuple):
    text: Text
    rules: frozenset[str]


class Share(NamedTuple):
    """Of texts. `blocked` is a part of `seen`: those that any rule met, only flagged ones included."""

    texts: int
    blocked: int
    seen: int


@cache
def rules() -> dict[str, Rule]:
    return {rule.id: rule for file in read_files(None) for rule in file.rules}


@cache
def measured() -> tuple[tuple[Met, ...], tuple[Met, ...]]:
    """Attacks, and what is none."""
    compiled = RuleSet(read_files(None))
    return tuple(tuple(_met(compiled, text) for text in texts) for texts in (attacks(), benign()))  # type: ignore[return-value]


def _met(compiled: RuleSet, text: Text) -> Met:
    source: Source = "system" if text.corpus == "prompts: agents'" else "user"
    return Met(text, frozenset(rule.id for rule in compiled.met(text.text) if source in rule.sources))


def share(met: Iterable[Met]) -> Share:
    found = list(met)
    blocked = sum(any(rules()[rule].verdict == "block" for rule in each.rules) for each in found)
    return Share(len(found), blocked, sum(bool(each.rules) for each in found))


def precisions() -> dict[str, float | None]:
    """Of each rule: attacks among the texts that meet it. None: no text does."""
    right, wrong = (Counter(rule for each in found for rule in each.rules) for found in measured())
    return {rule: right[rule] / (right[rule] + wrong[rule]) if right[rule] + wrong[rule] else None for rule in rules()}


def wilson(found: int, count: int) -> tuple[float, float]:
    """The 95 % interval of a share (Wilson 1927)."""
    z, share = 1.96, found / count
    middle, spread = share + z * z / (2 * count), z * sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return (middle - spread) / (1 + z * z / count), (middle + spread) / (1 + z * z / count)


def by_corpus(met: Sequence[Met]) -> dict[str, list[Met]]:
    found: dict[str, list[Met]] = {}
    for each in met:
        found.setdefault(each.text.corpus, []).append(each)
    return found
