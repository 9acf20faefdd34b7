"""What a run came to, in one word: the measure of the service, whatever status its HTTP request had."""

from asyncio import CancelledError
from collections.abc import Mapping
from typing import Literal, get_args

from app.errors import (
    BudgetExceeded,
    Conflict,
    DeadlineExceeded,
    EventsGone,
    Forbidden,
    InvalidRequest,
    KeyReused,
    ModelError,
    NotFound,
    Overloaded,
    RateLimited,
    RequestTooExpensive,
    RunCancelled,
    RunExpired,
    TooManyBatches,
    TooManyRuns,
    Unauthorized,
    UnsafeInput,
)
from app.models.protocol import REFUSALS
from app.runs.events import FinishReason

Outcome = Literal[
    "ok", "limited", "refused", "client_gone", "failed_model", "failed_internal", "deadline", "waiting"
]  # fmt: skip
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

BAD: frozenset[Outcome] = frozenset({"failed_model", "failed_internal", "deadline"})
"""Those that are the service's fault, or its provider's."""

_OF_ERRORS: Mapping[type[BaseException], Outcome] = {
    RateLimited: "limited",
    BudgetExceeded: "limited",
    RequestTooExpensive: "limited",
    Overloaded: "limited",
    TooManyRuns: "limited",
    TooManyBatches: "limited",
    InvalidRequest: "refused",
    UnsafeInput: "refused",
    Unauthorized: "refused",
    Forbidden: "refused",
    NotFound: "refused",
    Conflict: "refused",
    KeyReused: "refused",
    EventsGone: "refused",
    ModelError: "failed_model",
    DeadlineExceeded: "deadline",
    RunExpired: "deadline",
    RunCancelled: "client_gone",
    CancelledError: "client_gone",
    BaseException: "failed_internal",
}
"""The nearest base class counts. A provider's own 429 and a full queue for a model are the model's failures: the caller
has kept to every limit that they know of."""


def outcome_of(error: BaseException | None, finish_reason: FinishReason | None = None) -> Outcome:
    """`error` ended the run before it had an answer; an answer that a limit of the run has cut is `ok`."""
    if error is None:
        return "refused" if finish_reason in REFUSALS else "ok"
    return next(_OF_ERRORS[kind] for kind in type(error).__mro__ if kind in _OF_ERRORS)
