"""How many retries a model may have: few enough that they make no outage worse."""

import time
from collections.abc import Callable

SHARE = 0.2
"""Retries for each call that ends well: an outage earns none."""

A_SECOND = 3.0
"""Retries that there are at least, however few calls end well."""

BURST = 10.0
"""Retries that can be saved up. A thousand calls that fail at once are so retried 190 times in the next 60 s."""

_AHEAD_SECONDS = 1.0


class RetryBudget:
    """A token bucket for one model in this process, filled by its good calls, or by time where they earn less.

    In any t seconds in which n calls end well, at most BURST + A_SECOND * t + SHARE * n retries are taken. That shares
    and time are not added up keeps a busy model at 1.2 calls for each that is asked of it.
    """

    __slots__ = ("_clock", "_filled_until", "_tokens")

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._tokens = BURST
        self._filled_until = clock()  # up to here the time has earned its tokens, or calls have earned them for it

    def earn(self) -> None:
        """A call has ended well."""
        now = self._fill()
        self._tokens = min(self._tokens + SHARE, BURST)
        self._filled_until = min(self._filled_until + SHARE / A_SECOND, now + _AHEAD_SECONDS)

    def take(self) -> bool:
        """Whether there is a retry left; then it is taken: when it is scheduled, not when it is sent."""
        self._fill()
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def _fill(self) -> float:
        now = self._clock()
        if now > self._filled_until:
            self._tokens = min(self._tokens + A_SECOND * (now - self._filled_until), BURST)
            self._filled_until = now
        return now
