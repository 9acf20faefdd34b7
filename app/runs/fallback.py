"""What a run does when a model has failed it: which model is next, and what the caller is told if none is."""

from collections.abc import Sequence
from math import inf

from app.errors import (
    AppError,
    BudgetExceeded,
    ContextTooLong,
    GuardUnavailable,
    ModelUnavailable,
    RequestTooExpensive,
)
from app.models.failure_table import Rule, class_of, rule_of
from app.runs.candidates import is_larger, untried, was_sent
from app.runs.context import Candidate, RunContext
from app.runs.events import ModelSwitched
from app.runs.steps import ModelAnswered, Switched
from app.telemetry import metrics
from app.telemetry.exemplars import exemplar
from app.telemetry.logs import log

_UNAFFORDABLE = (BudgetExceeded, RequestTooExpensive)


class Refused(ModelUnavailable):
    """A model refused to answer, and another one may do it. `answer` is for the caller if none does."""

    def __init__(self, answer: ModelAnswered) -> None:
        super().__init__("The model refuses to answer.", reason="refusal")
        self.answer = answer


def fall_back(run: RunContext, error: AppError) -> bool:
    """Have the next model answer instead. False if there is none, or none may: what was sent cannot be taken back."""
    if isinstance(error, GuardUnavailable):  # no other model's answer could be looked at, either
        run.failures[:] = [error]
        return False
    run.failures.append(error)
    run.break_off()
    if len(run.candidates) > 1 and (to := _next(run, error)) is not None:
        _switch(run, to, error)
        return True
    return False


def _next(run: RunContext, error: AppError) -> Candidate | None:
    rule = None if isinstance(error, _UNAFFORDABLE) else rule_of(error)
    if rule is not None and rule.next_model == "no":
        return None
    if was_sent(run) and not _may_continue(run, rule):
        return None
    for candidate in untried(run):
        if rule is None or rule.next_model == "yes" or is_larger(candidate.model, run.model):
            return candidate
    return None


def _may_continue(run: RunContext, rule: Rule | None) -> bool:
    """Whether another model may go on with the text that was sent: once, and neither within the arguments of a tool
    call nor within reasoning."""
    if run.services.settings.stream_recovery == "fail" or run.state.cut or rule is None or not rule.breaker:
        return False
    within = run.beside == "arguments" or (run.beside == "reasoning" and run.beside_at == len(run.pieces))
    return not within


def _switch(run: RunContext, to: Candidate, error: AppError) -> None:
    failed, reason = run.model.ref, class_of(error)
    said = "".join(run.pieces) if was_sent(run) else ""
    run.record(Switched(failed, to.model.ref, reason, run.trail.take_attempts(), said))
    run.use(to)
    run.trail.replace_last()
    run.pieces[:] = [said] if said else ()
    run.beside = None
    metrics.FALLBACKS.labels(failed, to.model.ref).inc(1, exemplar())
    log.warning("model.switched", model=failed, to=to.model.ref, reason=reason, at_char=len(said))
    run.emit(ModelSwitched(failed, to.model.ref, len(said), reason))


def answer_of_refusal(failures: Sequence[AppError]) -> ModelAnswered | None:
    """What a model said that refused, where no other one answered."""
    return next((error.answer for error in failures if isinstance(error, Refused)), None)


def to_be_told(failures: Sequence[AppError]) -> AppError:
    """The failure that the caller is told of: one that they can do something about, else the one after which another
    try makes sense soonest. What the failures have cost, and left too little of the run's own limits, is no fault of
    the caller."""
    for error in failures:
        if isinstance(error, ContextTooLong | BudgetExceeded):
            return error
    models = [error for error in failures if not isinstance(error, RequestTooExpensive)] or failures
    passing = [error for error in models if not error.permanent]
    return min(passing or models, key=lambda error: inf if error.retry_after is None else error.retry_after)
