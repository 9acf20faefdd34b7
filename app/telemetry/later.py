"""Attributes that are made when somebody reads them: those of a record that is never exported cost nothing."""

from collections.abc import Callable, ItemsView, Iterator, Mapping

from opentelemetry.util.types import AttributeValue


class Later(Mapping[str, AttributeValue]):
    """What `make` returns, which must not depend on when it is called."""

    __slots__ = ("_made", "_make")

    def __init__(self, make: Callable[[], Mapping[str, AttributeValue]]) -> None:
        self._make = make
        self._made: Mapping[str, AttributeValue] | None = None

    def _all(self) -> Mapping[str, AttributeValue]:
        if self._made is None:
            self._made = self._make()
        return self._made

    def __getitem__(self, name: str) -> AttributeValue:
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def items(self) -> ItemsView[str, AttributeValue]:
        """The SDK reads nothing else."""
        return self._all().items()
