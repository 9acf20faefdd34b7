"""The span of a run, `invoke_agent {agent}`, and of an iteration: what they say of it."""

from collections.abc import Mapping

from msgspec import Struct
from opentelemetry.trace import INVALID_SPAN, Span
from opentelemetry.util.types import AttributeValue

from app.runs.context import RunContext
from app.telemetry import conventions
from app.telemetry.recorded_spans import RecordedSpan


class Begun(Struct, frozen=True):
    """What is known of a run at its begin."""

    agent: str
    model: str
    session_id: str
    user: str
    run_id: str

    @classmethod
    def of(cls, run: RunContext) -> "Begun":
        return cls(run.agent.name, run.model.name, run.memory.session_id, run.principal.user, run.reservation.run_id)


def of_run(begun: Begun) -> Mapping[str, AttributeValue]:
    return {
        conventions.OPERATION: conventions.INVOKE_AGENT,
        conventions.AGENT_NAME: begun.agent,
        conventions.REQUEST_MODEL: begun.model,
        conventions.CONVERSATION_ID: begun.session_id,
        conventions.USER_ID: begun.user,
        conventions.RUN_ID: begun.run_id,
    }


def of_iteration(number: int) -> Mapping[str, AttributeValue]:
    return {conventions.ITERATION: number}


def end(run: RunContext) -> None:
    """Have the run's span tell what it came to and what it has cost, however it ends. Nothing changes it afterwards."""
    span, run.span = run.span, INVALID_SPAN  # which refers to the run from now on: no work for the garbage collector
    if isinstance(span, RecordedSpan):
        span.tell_at_end(_of_end, run)
    if run.services.tracing.content:
        _tell_content(run, span)


def _of_end(run: RunContext) -> Mapping[str, AttributeValue]:
    state, reused = run.state, run.state.reused
    attributes: dict[str, AttributeValue] = {
        conventions.RESPONSE_MODEL: run.model.name,
        conventions.INPUT_TOKENS: state.usage.input_tokens,
        conventions.OUTPUT_TOKENS: state.usage.output_tokens,
        conventions.COST_USD: state.cost_usd,
        conventions.ATTEMPTS: run.attempts,
        conventions.CACHED: reused is not None,
    }
    if run.outcome is not None:
        attributes[conventions.OUTCOME] = run.outcome
    if state.uncertain_tokens:
        attributes[conventions.UNCERTAIN] = True
    if state.finish_reason is not None:
        attributes[conventions.FINISH_REASON] = state.finish_reason
    if run.fallback_from is not None:
        attributes[conventions.FALLBACK_FROM] = run.fallback_from
    if reused is not None:
        attributes[conventions.CACHE_AGE] = reused.age_seconds
    return attributes


def _tell_content(run: RunContext, span: Span) -> None:
    from app.telemetry.content import of_conversation, of_output  # most processes never record content

    span.set_attributes(of_conversation("", [run.memory.question]))
    span.set_attributes(of_output(run.state.text or "".join(run.pieces)))


def looked_up(run: RunContext, result: str) -> None:
    """The run has looked for an answer in a cache."""
    if run.span.is_recording():
        run.span.add_event(conventions.CACHE_LOOKUP, {conventions.CACHE_RESULT: result})
