"""Whether and when a model call that failed is tried again. stamina is imported and entered after a failure only."""

import random
from collections.abc import Awaitable, Callable
from functools import cache
from types import ModuleType
from typing import TypeVar

from app.errors import AppError
from app.models.failure_table import class_of, rule_of
from app.models.retry_budget import RetryBudget
from app.telemetry import metrics
from app.telemetry.exemplars import exemplar

FIRST_SECONDS = 0.5
LONGEST_SECONDS = 8.0
"""Of a backoff: what the SDKs of Anthropic and OpenAI wait at first and at most."""

R = TypeVar("R")


class Retries:
    """The retries of one model: how many a call may have, and what they share."""

    def __init__(self, ref: str, retries: int, retry_after_max: float, budget: RetryBudget) -> None:
        """`retry_after_max` is the longest Retry-After that is waited for, in seconds."""
        self._ref = ref
        self._retries = retries
        self._retry_after_max = retry_after_max
        self._budget = budget
        self.earn = budget.earn

    def may_help(self, error: BaseException, failed: int, *, spare: bool = False) -> bool:
        """Whether another try makes sense after `failed` attempts, the budget and the time aside. With a `spare` model
        that could answer instead, no Retry-After is waited for."""
        if failed > self._retries or not rule_of(error).retry:
            return False
        return not isinstance(error, AppError) or (error.retry_after or 0.0) <= self._patience(spare=spare)

    def _patience(self, *, spare: bool) -> float:
        return FIRST_SECONDS if spare else self._retry_after_max

    def wait(
        self, error: BaseException, failed: int, seconds_left: float, rests_for: float = 0.0, *, spare: bool = False
    ) -> float | None:
        """Seconds until the retry, which is then taken from the budget; None: there is none. `rests_for` is how long
        the model is left alone in any case.

        Full jitter spreads callers that failed together over the whole backoff. It comes on top of a Retry-After.
        """
        if not self.may_help(error, failed, spare=spare) or rests_for > self._patience(spare=spare):
            return None
        told = (error.retry_after if isinstance(error, AppError) else None) or 0.0
        backoff = min(FIRST_SECONDS * 2 ** (failed - 1), LONGEST_SECONDS)
        seconds = max(told, rests_for) + random.uniform(0, backoff)  # noqa: S311 - no secret
        if seconds >= seconds_left or not self._budget.take():
            return None
        metrics.RETRIES.labels(self._ref, class_of(error)).inc(1, exemplar())
        return seconds


async def again(
    error: Exception, attempt: Callable[[int], Awaitable[R]], wait: Callable[[BaseException, int], float | None]
) -> R:
    """The result of the attempts after the first one, which failed with `error`. Raises what the last one raised."""
    failed = 0

    def on(error: BaseException) -> bool | float:
        nonlocal failed
        failed += 1
        seconds = wait(error, failed) if isinstance(error, Exception) else None
        return False if seconds is None else seconds

    async for tried in _stamina().retry_context(on=on, attempts=None, timeout=None):
        with tried:
            if tried.num == 1:
                raise error
            return await attempt(tried.num)
    raise AssertionError("unreachable")


@cache
def _stamina() -> ModuleType:
    """Without its own log lines and metrics, which would say the same again."""
    import stamina

    stamina.instrumentation.set_on_retry_hooks(())
    return stamina
