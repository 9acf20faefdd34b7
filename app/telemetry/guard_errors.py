"""Guards that broke: counted, logged, and told by `/health`."""

from time import monotonic

from app.telemetry.logs import log
from app.telemetry.metrics import GUARD_ERRORS

RECENT_SECONDS = 60.0
"""How long an error counts as one that goes on."""

_last: dict[str, float] = {}  # by guard: its last error, by time.monotonic()
_logged: dict[str, float] = {}


def guard_failed(guard: str, reason: str) -> None:
    """`guard` and `reason` are fixed words. The log has a line a minute."""
    now = monotonic()
    GUARD_ERRORS.labels(guard, reason).inc()
    _last[guard] = now
    if now - _logged.get(guard, -RECENT_SECONDS) >= RECENT_SECONDS:
        _logged[guard] = now
        log.error("guard.failed", guard=guard, reason=reason)


def failing_guards() -> list[str]:
    """Those with an error in the last minute."""
    now = monotonic()
    return [guard for guard, at in _last.items() if now - at < RECENT_SECONDS]
