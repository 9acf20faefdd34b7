"""A run that another process began: what it has come to is taken from its steps, and it goes on from there."""

from time import perf_counter
from typing import Any, Literal

from app.limits.reservation import Held
from app.messages import NANOS, Usage
from app.models.call_records import Attempt
from app.models.estimates import estimated_tokens
from app.runs.context import RunContext
from app.runs.events import RunResumed
from app.runs.handle import RunHandle
from app.runs.journal import Carried, Earlier
from app.runs.steps import Asked, Attempted, ModelAnswered, ModelAsked, NotBegun, Resumed, Step, Switched
from app.telemetry.logs import log


def held_of(run_id: str, operation: str, earlier: Earlier) -> Held:
    """What the run's reservation was when the last step was written: they are written and settled together."""
    paid = [step for step in earlier.steps if type(step) is Attempted]
    spent = (sum(step.usage.total for step in paid), sum(step.nanos for step in paid))
    return Held(run_id, operation, earlier.carried.most, len(paid), spent, earlier.carried.day)


async def resume(run: RunContext, handle: RunHandle, earlier: Earlier) -> None:
    """Take over what the run holds, and have its state be what its steps have come to. Raises what refuses it."""
    await run.services.limiter.reserve(run.reservation, handle.fail)
    run.admitted = True
    run.started = perf_counter() - earlier.seconds
    for step in (*earlier.steps, *earlier.given):
        run.record(step)
    if earlier.lapsed:
        run.record(NotBegun((), earlier.lapsed))
    _recall(run, earlier.carried)
    _choose(run, earlier.carried)
    run.emit(RunResumed(earlier.discard_from))
    _pay_for_what_was_cut(run, earlier)
    run.record(Resumed(_was_cut(earlier.steps)))
    log.note(
        "agent.request.resumed",
        {
            "run_id": run.reservation.run_id,
            "user": run.principal.user,
            "session_id": run.memory.session_id,
            "agent": run.agent.name,
            "iterations": run.state.iterations,
            "reason": reason_of(earlier.carried),
        },
    )


def reason_of(carried: Carried) -> Literal["crash", "handed_back", "decided"]:
    """Why another process goes on with the run."""
    if carried.paused:
        return "decided"
    return "handed_back" if carried.handed_back else "crash"


def carried_of(run: RunContext, **more: Any) -> Carried:
    """What the next worker needs beside the steps."""
    memory, span = run.memory, run.span.get_span_context()
    traceparent = f"00-{span.trace_id:032x}-{span.span_id:016x}-01" if span.is_valid else ""
    began, created_at = memory.place
    return Carried(
        run.reservation.most,
        run.reservation.day,
        began,
        created_at,
        tuple(memory.degraded),
        tuple([candidate.model.ref for candidate in run.candidates]),
        memory.model,
        run.routed,
        traceparent,
        **more,
    )


def _recall(run: RunContext, carried: Carried) -> None:
    asked = next((step for step in run.steps if type(step) is Asked), None)
    conversation = () if asked is None else asked.conversation
    run.memory.resume(conversation[:-1], carried.began, carried.created_at, carried.degraded)


def _choose(run: RunContext, carried: Carried) -> None:
    """The models that may answer, in the order that the session or a router has given them: neither is asked again."""
    by_ref = {candidate.model.ref: candidate for candidate in run.candidates}
    chosen = tuple([by_ref[ref] for ref in carried.candidates if ref in by_ref])
    if chosen:
        run.candidates, run.routed = chosen, carried.routed
        run.use(chosen[0])
        run.memory.model = carried.model


def _was_cut(steps: tuple[Step, ...]) -> bool:
    """Whether the last model call that the steps know of has no end."""
    for step in reversed(steps):
        if isinstance(step, ModelAsked | ModelAnswered | Switched):
            return type(step) is ModelAsked
    return False


def _pay_for_what_was_cut(run: RunContext, earlier: Earlier) -> None:
    """A call of which only its text is known was paid for, too: by what was read and told, as estimated."""
    if earlier.lost_text:
        read = sum(estimated_tokens(message.content) for message in run.state.all_messages())
        usage = Usage(read + estimated_tokens(run.costs.system_prompt), estimated_tokens(earlier.lost_text))
        nanos = round(run.costs.price.cost_usd(usage) * NANOS)
        run.pay(Attempt(run.model.ref, usage, nanos, uncertain=True))
