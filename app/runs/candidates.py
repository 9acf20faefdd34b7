"""The models that may still answer a run, and how much of its time each has."""

import asyncio
from collections.abc import Iterator, Sequence

from app.agents.definition import RESERVE_SECONDS
from app.messages import Turn
from app.models.resilient import ResilientModel
from app.runs.context import Candidate, RunContext


def untried(run: RunContext) -> Iterator[Candidate]:
    """Those that come after the run's model, by preference: each answers or fails once."""
    tried = (run.model.ref, *run.state.failed)
    return (candidate for candidate in run.candidates if candidate.model.ref not in tried)


def number_left(run: RunContext) -> int:
    return 0 if len(run.candidates) < 2 else sum(1 for _ in untried(run))


def attempt_ends_at(run: RunContext, left: int) -> float:
    """When the run's model has to have begun its answer, on the event loop's clock, such that the others that are
    `left` have their share of the run's time. The last one has all of it, and the run's own deadline comes first."""
    if not left:
        return run.ends_at + RESERVE_SECONDS
    now = asyncio.get_running_loop().time()
    return now + (run.ends_at - now - RESERVE_SECONDS) / (left + 1)


def may_be_replaced(run: RunContext) -> bool:
    """Whether another model may still give the answer instead: nothing of it was sent."""
    return len(run.candidates) > 1 and not was_sent(run) and next(untried(run), None) is not None


def was_sent(run: RunContext) -> bool:
    """Whether the run's reader has text or reasoning of the answer that the model is giving. What a plain request gets
    is sent in the end."""
    return run.request.stream and (bool(run.pieces) or run.beside == "reasoning")


def stay(run: RunContext, turns: Sequence[Turn]) -> None:
    """Have the model answer that answered the session's last turn, as long as the first one is not well."""
    last = turns[-1].model if turns else ""
    if not last or run.router is not None or run.model.healthy:
        return
    for candidate in run.candidates:
        if candidate.model.ref == last:
            run.use(candidate)


def larger_is_left(run: RunContext) -> bool:
    """Whether a model with a larger context window may still answer."""
    return any(is_larger(candidate.model, run.model) for candidate in untried(run))


def is_larger(model: ResilientModel, than: ResilientModel) -> bool:
    ours, theirs = model.context_window, than.context_window
    return theirs is not None and (ours is None or ours > theirs)
