"""`/feedback`: what users say of their runs' answers. Another user's run is not there: 404."""

from collections.abc import Iterator, Sequence
from typing import Annotated

from fastapi import Request
from opentelemetry.trace import Link, SpanContext, TraceFlags
from pydantic import BaseModel, Field
from starlette.responses import Response

from app.api.body import Body, receive_body
from app.api.caller import caller_with
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.openapi import json_response
from app.api.requests import STRICT, Id, UserId
from app.api.schemas import FeedbackAnswer
from app.errors import InvalidRequest, NotFound
from app.limits.limiter import FEEDBACK, Limiter
from app.redaction.redactor import Redactor, cleaned
from app.runs.marking import record_escalation
from app.state.feedback import Feedback, KeptRun, Marked, Marks
from app.telemetry import conventions, metrics
from app.telemetry.evaluations import (
    COMPLETED,
    COMPLETION,
    ESCALATED,
    ESCALATION,
    NOT_COMPLETED,
    NOT_ESCALATED,
    SCORE,
    Evaluation,
    evaluation,
)
from app.telemetry.logs import log
from app.telemetry.scrubbing import without_secrets
from app.telemetry.traces import Tracing

MAX_COMMENT_CHARS = 2000
PROBLEMS = documented(404, 413, 415, 422, 429, 500, 503)


class FeedbackRequest(BaseModel):
    model_config = STRICT

    run_id: Id
    completed: bool | None = Field(None, description="Whether the answer did what was asked")
    escalated: bool | None = Field(None, description="Whether a person had to take over")
    score: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = Field(
        None, description="How good the answer is, from 0 to 1"
    )
    comment: Annotated[str, Field(max_length=MAX_COMMENT_CHARS)] | None = None
    user_id: UserId | None = None


def routes(
    api: Api, feedback: Feedback | None, limiter: Limiter, tracing: Tracing, redactor: Redactor | None = None
) -> None:
    """`feedback` is None where FEEDBACK_DAYS is 0. `redactor` takes secrets out of comments before they are kept."""
    read = Body(FeedbackRequest).read
    answer = json_response(api.schemas.refer(FeedbackAnswer))

    @api.fast_post("/feedback", body=FeedbackRequest, tags=["feedback"], responses={200: answer, **PROBLEMS})
    async def mark(request: Request) -> Response:
        """Mark the answer of one of the caller's own runs. A mark takes the place of an earlier one of its kind; the
        answer says what is kept now."""
        body = read(await receive_body(request.receive))
        marks = Marks(body.completed, body.escalated, body.score, cleaned(redactor, body.comment))
        principal = caller_with(request, "chat", body.user_id)
        if marks == Marks():
            raise InvalidRequest("There is nothing to mark: give completed, escalated, score or comment.")
        if feedback is None:
            raise NotFound("This service takes no feedback (FEEDBACK_DAYS is 0).")
        async with limiter.slot(principal, FEEDBACK) as headers:
            marked = await feedback.mark(principal.user, body.run_id, marks)
        if marked is None:
            raise NotFound(f"There is no run {body.run_id!r}.")
        _record(body.run_id, principal.user, marks, marked)
        with tracing.span(conventions.FEEDBACK, _attributes, marked.after, links=_links(marked.after)) as span:
            if span.is_recording():
                for name, attributes in _evaluations(body.run_id, marks, tracing.content):
                    span.add_event(name, attributes)
        kept = marked.after
        shown = FeedbackAnswer(body.run_id, kept.completed, kept.escalated, kept.score, kept.comment)
        return json_answer(shown, headers)


def _record(run_id: str, user: str, marks: Marks, marked: Marked) -> None:
    """Log what is said, and count it: the first mark of each kind, so that a run counts once."""
    before, after = marked.before, marked.after
    fields = {"run_id": run_id, "user": user, "agent": after.agent}
    said = {name: value for name in ("completed", "escalated", "score") if (value := getattr(marks, name)) is not None}
    if log.content and marks.comment is not None:
        said["comment"] = without_secrets(marks.comment)
    log.note("feedback", {**fields, **said})
    if before.completed is None and after.completed is not None:
        metrics.FEEDBACK.labels(after.agent, str(after.completed).lower()).inc()
    if before.score is None and after.score is not None:
        metrics.FEEDBACK_SCORE.labels(after.agent).observe(after.score)
    if after.was_escalated and not before.was_escalated:
        record_escalation(run_id, user, after.agent, "feedback")


def _attributes(run: KeptRun) -> dict[str, str]:
    return {conventions.AGENT_NAME: run.agent}


def _links(run: KeptRun) -> Sequence[Link]:
    """To the run's span, if it was traced."""
    if not run.span_id:
        return ()
    sampled = TraceFlags(TraceFlags.SAMPLED)
    return (Link(SpanContext(int(run.trace_id, 16), int(run.span_id, 16), is_remote=True, trace_flags=sampled)),)


def _evaluations(run_id: str, marks: Marks, content: bool) -> Iterator[Evaluation]:
    """The comment explains the first of them."""
    comment = without_secrets(marks.comment) if content and marks.comment else None
    if marks.completed is not None:
        label = COMPLETED if marks.completed else NOT_COMPLETED
        yield evaluation(COMPLETION, run_id, value=float(marks.completed), label=label, explanation=comment)
        comment = None
    if marks.escalated is not None:
        label = ESCALATED if marks.escalated else NOT_ESCALATED
        yield evaluation(ESCALATION, run_id, value=float(marks.escalated), label=label, explanation=comment)
        comment = None
    if marks.score is not None:
        yield evaluation(SCORE, run_id, value=marks.score, explanation=comment)
