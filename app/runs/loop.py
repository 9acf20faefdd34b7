"""The loop between a model and its tools: decide, do, record, until the run has its end."""

from time import perf_counter

from app.runs.calls import call_model, call_tools, settle
from app.runs.context import RunContext
from app.runs.events import FinishReason
from app.runs.plan import CallModel, CallTools, Fail, Finish, Reserve, answer_text, next_action
from app.runs.ration import left_of
from app.runs.steps import Ended


async def loop(run: RunContext) -> None:
    """Raises what a model call raises, and why not even the first could be made."""
    while run.state.finish_reason is None:
        started = perf_counter()
        try:
            with run.services.tracing.span("agent.iteration", _attributes, run):
                await _iterate(run)
        finally:
            run.outside_seconds += perf_counter() - started


def _attributes(run: RunContext) -> dict[str, int]:
    return {"agent.iteration.index": run.state.iterations + 1}


async def _iterate(run: RunContext) -> None:
    """One model call, and the tools that the model has asked for."""
    asked = called = False
    while True:
        left = left_of(run.reservation, asked=asked)
        match next_action(run.state, run.limits, left, run.costs):
            case CallModel() | Reserve() if called:
                return  # the model has said nothing: it is asked once more, in an iteration of its own
            case CallModel() as call:
                called = True
                await call_model(run, call)
            case CallTools(calls):
                await call_tools(run, calls, left)
                return
            case Finish(reason):
                _finish(run, reason)
                return
            case Reserve(growth):
                asked = True
                await settle(run, growth)
            case Fail(error):
                if error is left.refusal:
                    run.reservation.refuse()
                raise error


def _finish(run: RunContext, reason: FinishReason) -> None:
    text = answer_text(run.state, reason)
    if text != run.state.said:
        run.tell(text)
    run.record(Ended(reason, text))
    run.pieces.clear()
