"""Terms and phrases that stand one after the other, or close together: what a rule or a phrase wants of a text."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from msgspec import Struct

Ends = Mapping[int, Sequence[int]]
"""By the number of a term or phrase, ascending."""


class Chain(Struct, frozen=True):
    """Items one after the other; each is numbers of terms or phrases, any of which will do."""

    items: tuple[tuple[int, ...], ...]
    gap: int

    def is_in(self, found: Ends) -> bool:
        return bool(self.ends(found))

    def ends(self, found: Ends) -> list[int]:
        """Where the last item ends, with the others before it."""
        ends = _merged(found, self.items[0])
        for item in self.items[1:]:
            if not ends:
                return []
            ends = [end for end in _merged(found, item) if 0 < end - _last_before(ends, end) <= self.gap]
        return ends


def _merged(found: Ends, numbers: Sequence[int]) -> list[int]:
    there = [found[number] for number in numbers if number in found]
    return sorted({end for ends in there for end in ends}) if len(there) > 1 else list(there[0]) if there else []


def _last_before(ends: Sequence[int], end: int) -> int:
    at = bisect_left(ends, end)
    return ends[at - 1] if at else end


class Cluster(Struct, frozen=True):
    """Items that weigh `need` together, close to each other in any order."""

    items: tuple[tuple[int, ...], ...]
    weights: tuple[int, ...]
    need: int
    within: int

    def is_in(self, found: Ends) -> bool:
        pairs = zip(self.items, self.weights, strict=True)
        there = [(item, weight) for item, weight in pairs if any(number in found for number in item)]
        if sum(weight for _, weight in there) < self.need:
            return False
        ends = sorted((end, index) for index, (item, _) in enumerate(there) for end in _merged(found, item))
        return self._near(ends, [weight for _, weight in there])

    def _near(self, ends: list[tuple[int, int]], weights: list[int]) -> bool:
        count = [0] * len(weights)
        weight = first = 0
        for end, item in ends:
            weight += 0 if count[item] else weights[item]
            count[item] += 1
            while end - ends[first][0] > self.within:
                left = ends[first][1]
                count[left] -= 1
                weight -= 0 if count[left] else weights[left]
                first += 1
            if weight >= self.need:
                return True
        return False
