"""What redaction tells of itself."""

from app.telemetry.guard_errors import guard_failed
from app.telemetry.metrics import REDACTIONS


def redacted(kind: str) -> None:
    """`kind` is one of those that the rules name."""
    REDACTIONS.labels(kind).inc()


def redaction_failed() -> None:
    guard_failed("redaction", "scan")
