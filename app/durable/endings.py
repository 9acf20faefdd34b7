"""How runs end that no worker ends."""

from typing import Literal

from msgspec import Struct

from app.durable.record import RunStatus
from app.errors import AppError, RunCancelled, RunCrashed, RunExpired

Verdict = Literal["cancelled", "expired", "unanswered", "crashed"]
"""As claim.lua has it."""


class Judged(Struct, frozen=True):
    status: RunStatus
    error: AppError


def judged(verdict: Verdict, crashes: int) -> Judged:
    """What becomes of a run. `crashes`: how many of its workers died."""
    match verdict:
        case "cancelled":
            return Judged("cancelled", RunCancelled())
        case "expired":
            return Judged("expired", RunExpired("No worker had time for the run. Send it again."))
        case "unanswered":
            return Judged("expired", RunExpired("Nobody has decided in time on what the run was to do."))
        case "crashed":
            died = f"{crashes} workers that began it died" if crashes > 1 else "The worker that began it died"
            return Judged("failed", RunCrashed(f"The run is given up: {died}."))
