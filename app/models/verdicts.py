"""How a model's calls of the last seconds went, and whether that is a model that fails."""

from collections import deque

_SLICES_A_SECOND = 10
_SLICES = 10 * _SLICES_A_SECOND  # of the window of 10 s

_ENOUGH_CALLS, _BAD_SHARE = 20, 0.5
_BAD_IN_A_ROW, _ROW_SLICES = 5, 2 * _SLICES_A_SECOND


class Slice:
    """The verdicts of a tenth of a second."""

    __slots__ = ("bad", "good", "number")

    def __init__(self, number: int) -> None:
        self.number = number
        self.good = 0
        self.bad = 0


class Verdicts:
    """A sliding window. Only slices with verdicts are kept: an idle model costs nothing, a busy one 100 slices.

    Times are those of any clock that never goes back, in seconds.
    """

    __slots__ = ("_slices", "bad", "good")

    def __init__(self) -> None:
        self._slices: deque[Slice] = deque()
        self.good = 0
        """Good calls in the window."""
        self.bad = 0
        """Bad calls in the window."""

    def add_good(self, now: float) -> Slice:
        """A call went well. Returns what `take_back` wants."""
        current = self._current(now)
        current.good += 1
        self.good += 1
        return current

    def take_back(self, counted: Slice, now: float) -> None:
        """A call that `add_good` counted went wrong after all."""
        if self._current(now).number - counted.number < _SLICES:
            counted.good -= 1
            self.good -= 1

    def add_bad(self, now: float) -> bool:
        """A call went wrong. Returns whether the model fails: at least 20 calls of which half are bad, or at least 5
        bad ones over at least 2 s with no good one since the first of them."""
        self._current(now).bad += 1
        self.bad += 1
        calls = self.good + self.bad
        return (calls >= _ENOUGH_CALLS and self.bad >= _BAD_SHARE * calls) or self._only_bad()

    def _only_bad(self) -> bool:
        if self.bad < _BAD_IN_A_ROW:
            return False
        newest = first = self._slices[-1].number
        bad = 0
        for piece in reversed(self._slices):
            if piece.good:
                break
            if piece.bad:
                bad += piece.bad
                first = piece.number
        return bad >= _BAD_IN_A_ROW and newest - first >= _ROW_SLICES

    def _current(self, now: float) -> Slice:
        number = int(now * _SLICES_A_SECOND)
        slices = self._slices
        if slices and slices[-1].number >= number:
            return slices[-1]
        while slices and number - slices[0].number >= _SLICES:
            oldest = slices.popleft()
            self.good -= oldest.good
            self.bad -= oldest.bad
        slices.append(Slice(number))
        return slices[-1]
