"""Evaluations of runs as events of spans, as the conventions for generative AI have them."""

from collections.abc import Mapping

from opentelemetry.util.types import AttributeValue

from app.telemetry import conventions

COMPLETION, ESCALATION, SCORE = "task_completion", "human_escalation", "user_score"
COMPLETED, NOT_COMPLETED = "completed", "not_completed"
ESCALATED, NOT_ESCALATED = "escalated", "not_escalated"

Evaluation = tuple[str, Mapping[str, AttributeValue]]


def evaluation(
    name: str, run_id: str, *, value: float, label: str | None = None, explanation: str | None = None
) -> Evaluation:
    """The name and attributes of an event."""
    attributes: dict[str, AttributeValue] = {
        conventions.EVALUATION_NAME: name,
        conventions.EVALUATION_SCORE: value,
        conventions.RESPONSE_ID: run_id,
    }
    if label is not None:
        attributes[conventions.EVALUATION_LABEL] = label
    if explanation is not None:
        attributes[conventions.EVALUATION_EXPLANATION] = explanation
    return conventions.EVALUATION, attributes
