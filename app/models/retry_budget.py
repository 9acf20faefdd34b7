"""How many retries a model may have: few enough that they make no outage worse."""

import time
from collections.abc import Callable

SHARE = 0.2
"""Retries for each call that ends well: an outage earns none."""

A_SECOND = 3.0
"""Retries that there are at least, however few calls end well."""

BURST = 10.0
"""Retries that can be saved up. A thousand calls that fail at once are so retried 190 times in the next 60 s."""


class RetryBudget:
    """A token bucket for one model in this process, filled by its good calls, or by time where they earn less.

    In any t seconds in which n calls end well, at most BURST + A_SECOND * t + SHARE * n retries are taken.
    """

    __slots__ = ("_clock", "_filled_at", "_good", "_tokens")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = BURST
        self._filled_at = clock()
        self._good = 0  # calls since then

    def earn(self) -> None:
        """A call has ended well."""
        self._good += 1

    def take(self) -> bool:
        """Whether there is a retry left; then it is taken: when it is scheduled, not when it is sent."""
        now = self._clock()
        earned = max(SHARE * self._good, A_SECOND * (now - self._filled_at))
        self._tokens = min(self._tokens + earned, BURST)
        self._filled_at, self._good = now, 0
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
