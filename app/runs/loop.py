"""The loop between a model and its tools: decide, do, record, until the run has its end or waits for a person."""

from time import perf_counter

from msgspec.structs import replace

from app.errors import AppError, ModelError
from app.runs.calls import call_model, call_tools, settle, take_calls
from app.runs.context import RunContext
from app.runs.events import FinishReason
from app.runs.fallback import answer_of_refusal, fall_back, to_be_told
from app.runs.pausing import ask
from app.runs.permits import Permits
from app.runs.plan import (
    AskApproval,
    CallModel,
    CallTools,
    Fail,
    Finish,
    Pause,
    Reserve,
    TakeCalls,
    answer_text,
    next_action,
)
from app.runs.ration import Left, left_of
from app.runs.spans import of_iteration
from app.runs.steps import Ended
from app.telemetry.conventions import ITERATION_SPAN


async def loop(run: RunContext) -> None:
    """Raises what a model call raises, and why not even the first could be made."""
    for candidate in run.candidates if run.state.model else ():  # another process had switched to it
        if candidate.model.ref == run.state.model:
            run.use(candidate)
    agent, pauses = run.agent, run.journal is not None
    permits = Permits(run.reservation.run_id, run.tools.registry, agent.approving, agent.when_tainted, pauses)
    while run.state.finish_reason is None and not run.state.paused:
        started = perf_counter()
        try:
            with run.services.tracing.span(ITERATION_SPAN, of_iteration, run.state.iterations + 1):
                await _iterate(run, permits)
        finally:
            run.outside_seconds += perf_counter() - started


async def _iterate(run: RunContext, permits: Permits) -> None:
    """One model call, and the tools that the model has asked for."""
    asked = called = False
    while True:
        left = left_of(run.reservation, asked=asked)
        match next_action(run.state, run.limits, left, run.costs, permits):
            case CallModel() | Reserve() if called:
                return  # the model has said nothing: it is asked once more, in an iteration of its own
            case CallModel() as call:
                called = await _call(run, call)
                asked = asked and called
                if run.journal is not None:
                    run.journal.mark()
            case TakeCalls(calls):
                take_calls(run, calls)
            case CallTools() as calls:
                await _verdict(run)
                await call_tools(run, calls, left)
                return
            case AskApproval(asks):
                await _verdict(run)
                await ask(run, asks)
                return
            case Pause():
                return
            case Finish(reason):
                _finish(run, reason)
                return
            case Reserve(growth):
                asked = True
                await settle(run, growth)
            case Fail(error):
                if not ((run.failures or isinstance(error, ModelError)) and fall_back(run, error)):
                    _fail(run, error, left)
                asked = False


async def _verdict(run: RunContext) -> None:
    """Return when the run may have an effect: no tool is called for a question that may be unsafe."""
    if run.judging is not None:
        await run.judging.wait()


async def _call(run: RunContext, call: CallModel) -> bool:
    """False if the model failed, and another one is to be called. Raises what the caller is told of if none is."""
    try:
        await call_model(run, call)
    except AppError as error:
        if fall_back(run, error):
            return False
        _fail_after(run)
    if run.failures:
        run.failures.clear()
    return True


def _fail_after(run: RunContext) -> None:
    """No model has answered: one that refused has had the last word."""
    if (refused := answer_of_refusal(run.failures)) is None:
        raise to_be_told(run.failures)
    run.record(replace(refused, attempts=run.trail.take_attempts()))  # its own were counted when another followed it


def _fail(run: RunContext, error: AppError, left: Left) -> None:
    """The run cannot call its model, nor another one."""
    if error is left.refusal:
        run.services.limiter.refuse(run.reservation)
    raise to_be_told(run.failures) if run.failures else error


def _finish(run: RunContext, reason: FinishReason) -> None:
    text = answer_text(run.state, reason)
    if text != run.state.said:
        run.tell_whole(text)
    run.record(Ended(reason, text))
    run.pieces.clear()
