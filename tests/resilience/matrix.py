"""The cases of the matrix: each row of failures in each way, alone and with a healthy fallback."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tests.resilience.rows import ROWS, Row, Way

FALLBACK = "openai/well"


@dataclass(frozen=True)
class Case:
    """A row in one way, with a healthy fallback or alone. Its models are its own, so that nothing mixes."""

    row: Row
    way: Way
    with_fallback: bool

    @property
    def name(self) -> str:
        return f"{self.row.api}-{self.row.failure}-{self.way}-{'fallback' if self.with_fallback else 'alone'}"

    @property
    def model(self) -> str:
        """The failing one, as its provider calls it."""
        return f"{self.row.failure}~{self.name}"

    @property
    def ref(self) -> str:
        return f"{self.row.api}/{self.model}"

    @property
    def refs(self) -> Sequence[str]:
        return [self.ref, FALLBACK] if self.with_fallback else [self.ref]

    @property
    def answered(self) -> bool:
        return self.with_fallback and self.row.fallback

    def __str__(self) -> str:
        return self.name


def cases() -> Iterator[Case]:
    for one in ROWS:
        for way in one.ways:
            yield Case(one, way, with_fallback=False)
            yield Case(one, way, with_fallback=True)
