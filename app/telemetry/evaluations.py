"""`gen_ai.evaluation.result`: an event of the OpenTelemetry conventions for generative AI (semantic-conventions-genai
0.1.0). It is put on a span that has a link to the run's; `gen_ai.response.id` is the run's id."""

from collections.abc import Mapping

from opentelemetry.util.types import AttributeValue

from app.telemetry import conventions

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
