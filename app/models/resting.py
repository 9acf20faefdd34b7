"""Models that are left alone because their provider's limit is reached: known by a 429, or by headers before one.

What one process learns, the others are told with the admissions of their runs (app/limits/scripts/rest.lua). Where
no limit or budget is asked before a run, there is no admission: each process then knows what it has seen itself.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Literal, get_args

from app.errors import ModelError, ModelRateLimited, ModelUnavailable
from app.models.quota_headers import COMPATIBLE, Format, Quota, low_quotas, remaining_names
from app.telemetry import metrics
from app.telemetry.logs import log

Reason = Literal["rate_limited", "used_up", "overloaded"]
"""`rate_limited`: the provider answered 429. `used_up`: its headers say that nothing is left. `overloaded`: it asked
to be left alone for another reason."""

REASONS: tuple[Reason, ...] = get_args(Reason)
FIRST_SECONDS = 1.0
"""The rest after a 429 that names no time; it doubles while such 429s follow each other."""

LONGEST_BACKOFF_SECONDS = 60.0
MAX_REST_SECONDS = 3600.0
"""Whatever a provider says."""


def credential(base_url: str, api_key: str | None) -> str:
    """A short hash that tells accounts apart, and no key."""
    return sha256(f"{base_url}\n{api_key or ''}".encode()).hexdigest()[:12]


class Resting:
    """One model's, with one credential. Built once a process; an `app.limits.model_rest.ModelRest`."""

    def __init__(
        self,
        ref: str,
        account: str = "",
        formats: Sequence[Format] = COMPATIBLE,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`account` is a `credential`; `formats` are those of the provider's headers."""
        self.ref = ref
        self.key = f"{ref}|{account}"
        self._formats = formats
        self._names = remaining_names(formats)
        self._clock = clock
        self._until = 0.0
        self._reason: Reason = "rate_limited"
        self._backoff = 0.0
        self._new_until = 0.0  # not yet told to the store
        self._new_quota: tuple[int, int, float] | None = None  # likewise: requests left, of how many, and until when
        metrics.MODEL_RESTING.labels(ref).set_function(lambda: float(self.state() is not None))

    def check(self) -> None:
        """Raises ModelRateLimited or ModelUnavailable, with the reason `resting`, while the model rests."""
        if self._until and (state := self.state()) is not None:
            raise _error(*state)

    def state(self) -> tuple[Reason, float] | None:
        """Why it rests, and for how many seconds yet; None if it is awake."""
        seconds = self._until - self._clock()
        return (self._reason, seconds) if seconds > 0 else None

    def rest(self, seconds: float | None, reason: Reason = "rate_limited") -> None:
        """Leave the model alone for so long, or for as long as it rests already, if that is longer. None: the provider
        named no time, which is 1 s at first and doubles to 60 s until an answer comes. 0 is no rest."""
        if seconds is None or math.isnan(seconds):
            seconds = self._next_backoff()
        until = self._put_to_rest(seconds, reason)
        self._new_until = max(self._new_until, until)

    def answered(self) -> None:
        """The model has answered: the next 429 that names no time is a first one again."""
        self._backoff = 0.0

    def heard(self, headers: Mapping[str, str]) -> None:
        """Read what the headers of an answer tell of the provider's limits."""
        if not headers.keys().isdisjoint(self._names):
            self._learn(low_quotas(headers, self._formats))

    def news(self, *, unmade: bool = False) -> str:
        """What the store does not know yet, for one call of a script; see rest.lua. Told once."""
        if not (self._new_until or self._new_quota or unmade):
            return ""
        now = self._clock()
        rests = max(0, round((self._new_until - now) * 1000))
        left, limit, until = self._new_quota or (-1, 0, now)
        resets = max(0, round((until - now) * 1000))
        self._new_until, self._new_quota = 0.0, None
        if not resets:
            left = -1
        return f"{rests} {self._reason} {left} {limit} {resets} {int(unmade)}" if rests or resets or unmade else ""

    def told(self, seconds: float, reason: str) -> None:
        """The store says that it rests for so long yet."""
        self._put_to_rest(seconds, next((known for known in REASONS if known == reason), "overloaded"))

    def _learn(self, quotas: Sequence[Quota]) -> None:
        now = self._clock()
        for quota in quotas:
            if quota.remaining == 0:
                self._put_to_rest(quota.resets_in, "used_up")
            if quota.unit == "tokens":
                self._new_until = max(self._new_until, now + quota.resets_in)
        requests = [quota for quota in quotas if quota.unit == "requests"]
        if requests:
            fewest = min(requests, key=lambda quota: quota.remaining)
            self._new_quota = (fewest.remaining, fewest.limit, now + fewest.resets_in)

    def _next_backoff(self) -> float:
        if self._until <= self._clock():  # else it is of the same burst as the one before
            self._backoff = min(max(FIRST_SECONDS, self._backoff * 2), LONGEST_BACKOFF_SECONDS)
        return self._backoff or FIRST_SECONDS

    def _put_to_rest(self, seconds: float, reason: Reason) -> float:
        """Returns the clock's time until which it was asked to rest."""
        now = self._clock()
        until = now + min(max(seconds, 0.0), MAX_REST_SECONDS)
        if until > max(now, self._until):
            if self._until <= now:
                metrics.MODEL_RESTS.labels(self.ref, reason).inc()
                log.warning("model.resting", model=self.ref, reason=reason, seconds=round(until - now, 3))
            self._until, self._reason = until, reason
        return until


def _error(reason: Reason, seconds: float) -> ModelError:
    kind = ModelUnavailable if reason == "overloaded" else ModelRateLimited
    return kind(
        "The model's provider allows no more requests for now. Try again later.",
        reason="resting",
        cause=reason,
        retry_after=seconds,
    )
