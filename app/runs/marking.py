"""Marks on a run's answer: by its agent, which hands over to a person, and by its user."""

from typing import Literal

from app.runs.context import RunContext
from app.state.feedback import KeptRun
from app.telemetry import metrics
from app.telemetry.evaluations import ESCALATED, ESCALATION, evaluation
from app.telemetry.exemplars import exemplar
from app.telemetry.logs import log
from app.telemetry.recorded_spans import ids_of
from app.telemetry.scrubbing import without_secrets
from app.tools.context import HandOver


def keep_for_feedback(run: RunContext) -> None:
    """Have a run that is over be one that can be marked. What is written leaves together with what is sent next."""
    feedback, handed = run.services.feedback, run.state.handed_over
    if feedback is None or not run.admitted:
        return
    kept = KeptRun(run.agent.name, *ids_of(run.span), escalated=handed or None, was_escalated=handed)
    feedback.keep(run.principal.user, run.reservation.run_id, kept)


def hand_over(run: RunContext, handed: HandOver) -> None:
    """Count and log that the agent has asked for a person, once a run."""
    if run.state.handed_over:
        return
    said = {name: without_secrets(text) for name, text in handed._asdict().items()} if log.content else {}
    record_escalation(run.reservation.run_id, run.principal.user, run.agent.name, "tool", **said)
    if run.span.is_recording():
        run.span.add_event(*evaluation(ESCALATION, run.reservation.run_id, label=ESCALATED, value=1.0))


def record_escalation(run_id: str, user: str, agent: str, source: Literal["tool", "feedback"], **said: str) -> None:
    """`said` is what only LOG_CONTENT lets into the log."""
    metrics.ESCALATIONS.labels(agent, source).inc(1, exemplar())
    log.note("escalation", {"run_id": run_id, "user": user, "agent": agent, "source": source, **said})
