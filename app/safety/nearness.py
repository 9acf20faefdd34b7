"""Terms and phrases that stand one after the other, or close together: what a rule or a phrase wants of a text."""

from bisect import bisect_left
from collections import defaultdict
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
    """`need` of the items, close together in any order."""

    items: tuple[tuple[int, ...], ...]
    need: int
    within: int

    def is_in(self, found: Ends) -> bool:
        there = [item for item in self.items if any(number in found for number in item)]
        if len(there) < self.need:
            return False
        ends = sorted((end, index) for index, item in enumerate(there) for end in _merged(found, item))
        return _near(ends, self.need, self.within)


def _near(ends: list[tuple[int, int]], need: int, within: int) -> bool:
    """Whether so many items end within so many bytes."""
    count: dict[int, int] = defaultdict(int)
    different = first = 0
    for end, item in ends:
        different += not count[item]
        count[item] += 1
        while end - ends[first][0] > within:
            left = ends[first][1]
            count[left] -= 1
            different -= not count[left]
            first += 1
        if different >= need:
            return True
    return False
