"""A provider's own rate limit: so many requests in each window of time, told in OpenAI's headers."""

import time
from collections.abc import Mapping
from dataclasses import replace

from tests.resilience.acts import Act, error


class Quota:
    def __init__(self, requests: int, window_seconds: float) -> None:
        self._requests, self._window_seconds = requests, window_seconds
        self._begun = time.monotonic()
        self._left = requests
        self.refused = 0

    def apply(self, act: Act) -> Act:
        """The act with the headers of the limit; a 429 instead when nothing is left."""
        now = time.monotonic()
        if (passed := now - self._begun) >= self._window_seconds:
            self._begun += passed - passed % self._window_seconds
            self._left = self._requests
        until = self._begun + self._window_seconds - now
        if self._left == 0:
            self.refused += 1
            return error(429, "rate_limit_exceeded", **self._headers(until))
        self._left -= 1
        return replace(act, headers={**act.headers, **self._headers(until)})

    def _headers(self, until: float) -> Mapping[str, str]:
        return {
            "x-ratelimit-limit-requests": str(self._requests),
            "x-ratelimit-remaining-requests": str(self._left),
            "x-ratelimit-reset-requests": f"{until * 1000:.0f}ms",
        }
