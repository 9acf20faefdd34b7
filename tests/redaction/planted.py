"""Secrets of every kind that the rules know, made from their formats and a seed. None was ever issued.

A format is a text with `{CLASS:LENGTH}` for random characters (`{hex:32}`, `{url:20-40}`, `{b62:16+}`), `{a|b}` for a
choice, and names such as `{uuid}` or `{jwt}` for what has to be computed. `<` and `>` stand around the secret where it
is not all of the text.
"""

import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from tests.redaction import computed
from tests.redaction.computed import CLASSES

FORMATS: dict[str, str] = yaml.safe_load((Path(__file__).parent / "formats.yaml").read_text())
"""Of each rule, by its id."""

_PART = re.compile(r"\{(\w+):(\d+)(?:-(\d+)|(\+))?\}|\{([^{}]+)\}")
PLACEHOLDER = re.compile(r"\[redacted: [a-z0-9-]+\]")
SECRET_MARKS = re.compile(r"(.*?)<(.*)>(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Planted:
    """A secret in the words that it needs around it to be known for one."""

    rule: str
    secret: str
    before: str = ""
    after: str = ""

    @property
    def text(self) -> str:
        return f"{self.before}{self.secret}{self.after}"

    def leaks(self, said: str) -> bool:
        """A piece of eight of its characters is in a text that should be without it."""
        rest = PLACEHOLDER.sub("\n", said)
        return any(self.secret[at : at + 8] in rest for at in range(max(1, len(self.secret) - 7)))


def planted(seed: int = 1, each: int = 1) -> Iterator[Planted]:
    """`each` secrets of every format, the same ones for the same seed."""
    for rule in FORMATS:
        for number in range(each):
            yield plant(rule, seed=f"{seed}/{number}")


def plant(rule: str, seed: int | str = 1) -> Planted:
    """One secret that the rule of this id has to find."""
    before, secret, after = _parts(FORMATS[rule])
    chance = random.Random(f"{rule}/{seed}")
    return Planted(rule, filled(secret, chance), filled(before, chance), filled(after, chance))


def filled(template: str, chance: random.Random) -> str:
    """The text of a format. What is computed may depend on what stands before it."""
    text, end = "", 0
    for part in _PART.finditer(template):
        text += template[end : part.start()]
        text += _made(part, text, chance)
        end = part.end()
    return text + template[end:]


def _made(part: re.Match[str], before: str, chance: random.Random) -> str:
    kind, least, most, more, words = part.groups(default="")
    if kind:
        length = chance.randint(int(least), int(most or (int(least) + 4 if more else least)))
        return "".join(chance.choices(CLASSES[kind], k=length))
    if "|" in words:
        return chance.choice(words.split("|"))
    name, _, argument = words.partition("=")
    maker: Callable[[str, str, random.Random], str] = getattr(computed, name)
    return maker(argument, before, chance)


def _parts(template: str) -> tuple[str, str, str]:
    marked = SECRET_MARKS.fullmatch(template)
    return (marked[1], marked[2], marked[3]) if marked else ("", template, "")
