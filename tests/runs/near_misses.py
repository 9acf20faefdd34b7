"""Pairs of questions that differ in one thing: written by hand in cases/near_misses.jsonl, and made from templates."""

import json
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

_CASES = Path(__file__).parent / "cases"


class Pair(NamedTuple):
    a: str
    b: str


def written() -> list[Pair]:
    return _read("near_misses")


def paraphrases() -> list[Pair]:
    return _read("paraphrases")


def _read(name: str) -> list[Pair]:
    lines = (_CASES / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()
    return [Pair(case["a"], case["b"]) for case in map(json.loads, lines)]


_FILLED = (
    ("What is {} percent of 250?", "5 15 50 0.5 six sixteen sixty"),
    ("How long does it take to drive {} kilometers?", "7 70 700 eight eighty"),
    ("Convert {} into kilograms", "5lb 50lb 5oz 5st"),
    ("How much is 12 {} in watts?", "kW MW mW GW"),
    ("What is the capital of {}?", "Peru Chile Mali Malta Guinea Guyana Slovakia Slovenia"),
    ("Who founded {}?", "Google Alphabet Apple Microsoft Oracle IBM"),
    ("What happened in {}?", "1848 1884 1948 March May June"),
    ("Which shops are open on {}?", "Monday Tuesday Saturday Sunday holidays"),
    ("Which of these planets is the {}?", "largest smallest nearest farthest oldest hottest coldest"),
    ("Do {} mammals lay eggs?", "all some most many no few"),
    ("What should I eat {} a run?", "before after during without"),
    ("{} was the treaty signed?", "When Where Why How"),
    ("{} do bees live?", "Where Why How"),
    ("How do I {} a file in Linux?", "open close create delete rename copy move"),
    ("How do I sort a list in {}?", "Python Java JavaScript C C++ C# Go Rust"),
    ("What does the flag {} do?", "-a -A --all --al -aa"),
    ("What does {} return?", "getUser() getUsers() get_user() getuser() setUser()"),
    ("Explain what {} is for", "https://a.example/x https://a.example/y http://a.example/x https://b.example/x"),
    ("Is it {} to drink sea water?", "safe unsafe legal illegal healthy unhealthy"),
    ("Is {} taller than the Eiffel Tower?", "Big-Ben Burj-Khalifa CN-Tower"),
    ("I feel {} today", "😀 😡 😢 👍 👎"),
    ("Describe life in {} the war", "before after during"),
    ("Was kosten {} Karten?", "zwei drei vier 5 zwölf zwanzig"),
    ("Wie ist das Wetter am {}?", "Montag Dienstag Sonntag Januar"),
    ("Ist das {} erlaubt?", "nicht immer nie heute morgen"),
    ("Combien coûtent {} billets ?", "deux trois quatre dix douze"),
    ("Quel est le {} pays du monde ?", "premier dernier meilleur pire"),
    ("¿Cuánto cuestan {} entradas?", "dos tres doce trece veinte"),
    ("¿Qué hago {} comer?", "antes-de después-de sin para"),
    ("{}有多少人口\uff1f", "北京 上海 东京 巴黎"),
    ("我{}吃这个吗\uff1f", "可以 不可以 应该 必须"),
)
_TURNED = (
    ("Convert 20 {} to {}", "USD EUR GBP JPY"),
    ("Is {} older than {}?", "Rome Athens Cairo"),
    ("How do I fly from {} to {}?", "Oslo Paris Rome Lima"),
    ("Subtract {} from {}", "4 9 16"),
    ("Does {} cause {}?", "stress hunger pain"),
    ("Was ist schneller, {} oder {}?", "Bus Bahn Auto"),
    ("Quién ganó, {} contra {}?", "Chile Perú Brasil"),
    ("从{}到{}怎么走\uff1f", "北京 上海 广州"),
)


def from_templates() -> list[Pair]:
    filled = [
        Pair(template.format(one), template.format(other))
        for template, slots in _FILLED
        for one, other in combinations(slots.split(), 2)
    ]
    turned = [
        Pair(template.format(one, other), template.format(other, one))
        for template, slots in _TURNED
        for one, other in combinations(slots.split(), 2)
    ]
    return filled + turned


def near_misses() -> list[Pair]:
    return list(dict.fromkeys(written() + from_templates()))
