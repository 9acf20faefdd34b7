"""What redaction tells of itself."""

from collections import Counter
from collections.abc import Iterable
from contextvars import ContextVar

from app.redaction.redactor import SYSTEM_PROMPT
from app.telemetry.guard_errors import guard_failed
from app.telemetry.logs import log
from app.telemetry.metrics import REDACTIONS

of_run: ContextVar[Counter[str] | None] = ContextVar("of_run", default=None)
"""What was taken out of the run that goes on in this context, by kind."""


def redactions_at_zero(groups: Iterable[str]) -> None:
    """Make the series of these words of REDACT."""
    for group in (*groups, SYSTEM_PROMPT):
        REDACTIONS.labels(group)


def redacted(kind: str, group: str) -> None:
    """`kind` is one of those that the rules name: hundreds, so that only the audit record tells them apart."""
    REDACTIONS.labels(group).inc()
    if (taken := of_run.get()) is not None:
        taken[kind] += 1


def redaction_failed() -> None:
    guard_failed("redaction", "scan")


def without_hyperscan(error: str) -> None:
    """The scans of this process cost more CPU than they could."""
    log.warning("redaction.without_hyperscan", error=error)
