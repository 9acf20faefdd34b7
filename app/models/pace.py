"""How fast a model writes, as its calls in this process show: what a call that was cut can have written by then."""

DEFAULT_TOKENS_A_SECOND = 50.0
"""Before any call has ended: what hosted models write in the middle of their range."""

MAX_TOKENS_A_SECOND = 2000.0
"""Whatever answers faster, such as a cache in front of a model, does not write."""

_DEFAULT_SECONDS = 5.0  # what the default weighs: a few calls outweigh it
_KEPT = 0.95  # of the weight of earlier calls, with each call


class Pace:
    """A moving average over calls, each weighted by its time: tokens written by seconds taken."""

    __slots__ = ("_seconds", "_tokens")

    def __init__(self) -> None:
        self._seconds = _DEFAULT_SECONDS
        self._tokens = _DEFAULT_SECONDS * DEFAULT_TOKENS_A_SECOND

    def add(self, tokens: int, seconds: float) -> None:
        """A call that ended had written so many tokens in so much time."""
        if tokens > 0 and seconds > 0:
            self._tokens = _KEPT * self._tokens + tokens
            self._seconds = _KEPT * self._seconds + seconds

    def written(self, seconds: float) -> int:
        """Tokens that a call can have written by now, rounded up."""
        return -int(-seconds * min(self._tokens / self._seconds, MAX_TOKENS_A_SECOND) // 1)
