"""Says what became of an attempt, in metrics and in the log."""

from typing import Any

from app.durable.webhooks.attempt import Result
from app.durable.webhooks.message import Message
from app.durable.webhooks.outbox import Due, State
from app.telemetry import metrics
from app.telemetry.logs import log


def tell_of(due: Due, message: Message, result: Result, state: State, pause: float) -> None:
    """Count the attempt, and log it: with the host, and neither URL nor secret."""
    metrics.WEBHOOK_DELIVERIES.labels("failed" if state == "pending" else state).inc()
    attempt, number = result.attempt, due.attempts + 1
    fields: dict[str, Any] = {"run_id": due.run_id, "host": message.host, "latency_ms": attempt.latency_ms}
    if attempt.status is not None:
        fields["status"] = attempt.status
    match state:
        case "delivered":
            log.info("webhook.delivered", attempt=number, **fields)
        case "pending":
            log.warning("webhook.failed", attempt=number, reason=attempt.reason, next_seconds=round(pause, 1), **fields)
        case "given_up":
            log.error("webhook.given_up", attempt=number, reason=attempt.reason, **fields)
