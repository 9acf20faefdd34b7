"""When a delivery that failed is tried again."""

from dataclasses import dataclass
from random import uniform


@dataclass(frozen=True, slots=True)
class Backoff:
    """Exponential, with jitter. By default the attempts are, in hours and minutes after the first and without jitter:
    0:00:05, 0:00:25, 0:01:45, 0:07, 0:28, 1:54, 5:54, 9:54, 13:54, 17:54, 21:54, 24:00."""

    first_seconds: float = 5.0
    factor: float = 4.0
    longest_seconds: float = 4 * 3_600.0
    total_seconds: float = 24 * 3_600.0
    """After the first attempt; the last one is then."""
    jitter: float = 0.2
    """A pause is longer or shorter by up to this share."""

    def pause(self, attempts: int, since_first: float, asked: float | None = None) -> float | None:
        """Seconds until the next attempt, None: that was the last.

        `attempts` were made, the first `since_first` seconds ago. `asked` is Retry-After: pauses are no shorter, up to
        the longest.
        """
        left = self.total_seconds - since_first
        if left <= 0:
            return None
        pause = self.first_seconds
        for _ in range(attempts - 1):
            pause = min(pause * self.factor, self.longest_seconds)
        pause *= uniform(1 - self.jitter, 1 + self.jitter)  # noqa: S311 - spreads attempts, and guards nothing
        if asked is not None:
            pause = max(pause, min(asked, self.longest_seconds))
        return min(pause, left)


AS_DOCUMENTED = Backoff()
