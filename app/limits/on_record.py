"""Entries of the audit record about what a limit or a budget has refused."""

from app.access.on_record import entry_of
from app.audit.entry import Entry
from app.errors import AppError, BudgetExceeded, RateLimited
from app.limits.reservation import Reservation


def refusal(reservation: Reservation, error: AppError, *, run_id: str = "") -> Entry | None:
    """None for what no limit has refused."""
    match error:
        case RateLimited(policy=policy):
            why = policy
        case BudgetExceeded(scope=scope):
            why = f"budget-{scope}"
        case _:
            return None
    operation = reservation.operation
    return entry_of(reservation.checks.caller, "limit", "refused", on=operation, why=why, run_id=run_id)
