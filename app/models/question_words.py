"""What the words of a question say."""

from msgspec import Struct

from app.models.decisions import Rule
from app.models.lexicon import Found, Lexicon, normal, size, without


class Reading(Struct, frozen=True):
    """A question's words, without what is said beside it, and the terms of the lexicon in them."""

    words: str
    size: int
    found: Found

    def left(self, *signals: str) -> int:
        """How many words there are beside those of these signals and the fillers."""
        terms = [term for signal in (*signals, "filler") for term in self.found.get(signal, ())]
        return size(without(self.words, terms))

    @property
    def hard(self) -> Rule | None:
        """What makes it hard, whatever else it says."""
        if "maths" in self.found:
            return "maths"
        if "code" in self.found:
            return "code"
        if "reasoning" in self.found:
            return "reasoning"
        return "constraints" if len(self.found.get("constraints", ())) > 1 else None

    @property
    def calm(self) -> bool:
        """Whether nothing speaks against a simple answer."""
        return self.hard is None and not self.found.keys() & {"caution", "constraints"}


def read(text: str, lexicon: Lexicon) -> Reading:
    words = normal(text)
    found = lexicon.read(words)
    if asides := found.get("aside"):
        words = without(words, asides)
        found = lexicon.read(words)
    return Reading(words, size(words), found)
