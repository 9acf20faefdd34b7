"""Every error a caller can meet, as data. Each class knows its HTTP status, its problem type and its title.

AppError
├── InvalidRequest 422           the body or a parameter is not what the route takes
│   ├── ContextTooLong 422       the conversation does not fit the model's context window
│   ├── ContentFiltered 422      the provider's rules for content refuse the conversation
│   └── RequestTooExpensive 422  it may cost more than any single run may
├── UnsafeInput 400              a guard refuses what came in
├── Unauthorized 401             no credentials, or some that are expired or invalid; raised by app/api/caller.py
├── Forbidden 403                a known caller without the scope, or in another user's name
├── NotFound 404                 unknown tool, session, model or agent; or another user's
├── Conflict 409                 what is asked for does not go together with what is going on
│   ├── SessionBusy 409          a run of the session is going on, and the request did not say to wait or to end it
│   ├── RunOver 409              the run that is to be cancelled is over
│   ├── BatchOver 409            likewise of a batch
│   ├── RunCancelled 409         the run was cancelled: its last event
│   ├── ApprovalOver 409         the call was decided on before, or the time for it is over
│   └── ApprovalChanged 409      the call is not any more what a person was asked about
├── KeyReused 422                the Idempotency-Key came with another body before
├── EventsGone 410               events after this number were trimmed, or never were
├── TooManyRuns 429              of one caller are waiting or going on
├── TooManyBatches 429           of one caller are kept and not over
├── GuardUnavailable 503         a guard gave no verdict, and nothing goes on without one
├── NoWorkers 503                no process works on background runs
├── RunExpired 504               nobody began the run in time, or nobody decided
├── RunCrashed 500               several workers died over the run
├── MalformedRequest 400         not HTTP/1.1 as RFC 9112 has it; raised by app/http_protocol.py
├── RequestTimeout 408           the head or the body did not arrive in time; raised by app/http_protocol.py
├── HeadTooLarge 431             the request line and headers, or the trailers; raised by app/http_protocol.py
├── BodyTooLarge 413
├── UnsupportedMediaType 415
├── RateLimited 429              too many requests a minute, or runs at once; raised by app/limits
├── BudgetExceeded 429           a user's, a team's or everyone's budget does not cover the run; raised by app/limits
├── LimitsUnavailable 503        the store does not answer, and no run goes without its limits
├── ModelError                   raised by app/models
│   ├── ModelRateLimited 429     the provider's own limit
│   └── ModelUnavailable 503     unreachable, overloaded, misconfigured, or answers what cannot be read
├── IdentityUnavailable 503      the keys that tokens are verified with could not be fetched yet
├── StateUnavailable 503         raised by app/state when Redis is away and the request cannot do without it
├── Overloaded 503               too many connections, requests or bodies at once in this process
├── ShuttingDown 503             the process leaves before the run could end
├── DeadlineExceeded 504         raised by the runner
└── InternalError 500            stands for any other exception; the cause is in the log only

ConfigurationError               not a caller's: it stops the start with exit 2
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal, Self


class ConfigurationError(Exception):
    """A setting that the process cannot start with; the message names it and says what to do."""


class AppError(Exception):
    """Base of the errors that become a problem document (RFC 9457). The message is its `detail`."""

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"
    permanent = False
    """Whether another try makes no sense until somebody has changed something: there is no Retry-After then."""

    def __init__(self, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after
        """Seconds after which another try makes sense; None: unknown, or if `permanent` never."""

    def members(self) -> Mapping[str, Any]:
        """Further members of the problem document."""
        return {}


class InvalidRequest(AppError):
    status, slug, title = 422, "invalid-request", "Invalid request"

    def __init__(self, detail: str, errors: Sequence[Mapping[str, str]] = (), *, more: int = 0) -> None:
        """`more` is the number of fields that are wrong as well and not in `errors`."""
        super().__init__(f"{detail}; and {more} more" if more else detail)
        self.errors = tuple(errors)
        self.more = more

    def members(self) -> Mapping[str, Any]:
        errors = {"errors": self.errors} if self.errors else {}
        return {**errors, "more_errors": self.more} if self.more else errors


class ContextTooLong(InvalidRequest):
    slug, title = "context-too-long", "Conversation too long for the model"


class ContentFiltered(InvalidRequest):
    slug, title = "content-filtered", "Refused by the model's content rules"


class RequestTooExpensive(InvalidRequest):
    slug, title = "request-too-expensive", "Request too expensive"


class UnsafeInput(AppError):
    """`category` is the class of the rule that the input met: what it is, not how it was seen."""

    status, slug, title = 400, "unsafe-input", "Unsafe input"
    permanent = True

    def __init__(self, category: str, detail: str = "") -> None:
        super().__init__(detail or f"The input looks like an attempt of the kind {category!r}. Say it in other words.")
        self.category = category

    def members(self) -> Mapping[str, Any]:
        return {"category": self.category}


class GuardUnavailable(AppError):
    status, slug, title = 503, "guard-unavailable", "Guard unavailable"

    def __init__(self) -> None:
        super().__init__("What was sent cannot be checked at the moment. Try again.", retry_after=5)


class Unauthorized(AppError):
    """`expired` is all that a caller learns about why their credentials were refused; `missing`: there were none;
    `revoked`: they were good when the run began."""

    status, slug, title = 401, "unauthorized", "Unauthorized"

    def __init__(self, problem: Literal["missing", "expired", "invalid", "revoked"]) -> None:
        missing = "Credentials are missing. Send the header `Authorization: Bearer KEY_OR_TOKEN`."
        super().__init__(missing if problem == "missing" else f"The credentials are {problem}.")
        self.problem = problem


class Forbidden(AppError):
    status, slug, title = 403, "forbidden", "Forbidden"

    def __init__(self, detail: str, scope: str = "") -> None:
        super().__init__(detail)
        self.missing_scope = scope

    @classmethod
    def lacking(cls, scope: str) -> Self:
        return cls(f"This needs the scope {scope!r}.", scope)


class NotFound(AppError):
    status, slug, title = 404, "not-found", "Not found"


class Conflict(AppError):
    status, slug, title = 409, "conflict", "Conflict"


class SessionBusy(Conflict):
    slug, title = "session-busy", "A run of the session is going on"

    def __init__(self, run_id: str, *, waits: bool = False) -> None:
        """`waits`: for a person's decision."""
        state = "waits for a person's decision" if waits else "is not over"
        super().__init__(
            f"The run {run_id} of this session {state}. Wait for it, cancel it, or send `on_busy`: `enqueue` runs "
            "after it, `interrupt` ends it."
        )
        self.run_id = run_id

    def members(self) -> Mapping[str, Any]:
        return {"run_id": self.run_id}


class RunOver(Conflict):
    slug, title = "run-over", "The run is over"

    def __init__(self, run_id: str, status: str) -> None:
        super().__init__(f"The run {run_id} is over ({status}).")
        self.run_status = status

    def members(self) -> Mapping[str, Any]:
        return {"run_status": self.run_status}


class BatchOver(Conflict):
    slug, title = "batch-over", "The batch is over"

    def __init__(self, batch_id: str, status: str) -> None:
        super().__init__(f"The batch {batch_id} is over ({status}).")


class RunCancelled(Conflict):
    slug, title = "cancelled", "Cancelled"

    def __init__(self) -> None:
        super().__init__("The run was cancelled.")


class ApprovalOver(Conflict):
    slug, title = "approval-over", "Decided on before"

    def __init__(self, approval_id: str, status: str) -> None:
        super().__init__(f"The approval {approval_id} is not waiting for a decision any more ({status}).")
        self.approval_status = status

    def members(self) -> Mapping[str, Any]:
        return {"approval_status": self.approval_status}


class ApprovalChanged(Conflict):
    slug, title = "approval-changed", "The call has changed"

    def __init__(self, approval_id: str) -> None:
        super().__init__(
            f"The call of the approval {approval_id} is not any more what was asked about: its tool, its arguments or "
            "the rules for it have changed. It is not made."
        )


class KeyReused(AppError):
    status, slug, title = 422, "idempotency-key-reused", "Idempotency-Key with another body"

    def __init__(self) -> None:
        super().__init__("This Idempotency-Key came with another body before. Use a new key for a new request.")


class EventsGone(AppError):
    """`oldest` is the number of the first event that is still kept."""

    status, slug, title = 410, "events-gone", "Events are gone"

    def __init__(self, after: str, oldest: int) -> None:
        super().__init__(f"There are no events after {after}. The oldest that is kept is {oldest}.")
        self.oldest = oldest

    def members(self) -> Mapping[str, Any]:
        return {"oldest": self.oldest}


class TooManyRuns(AppError):
    status, slug, title = 429, "too-many-runs", "Too many runs"

    def __init__(self, most: int) -> None:
        super().__init__(f"{most} of your runs are waiting or going on, which is the most. Try again.", retry_after=30)


class TooManyBatches(AppError):
    status, slug, title = 429, "too-many-batches", "Too many batches"

    def __init__(self, most: int) -> None:
        super().__init__(
            f"{most} of your batches are not over, which is the maximum. Wait for one, or cancel it.", retry_after=60
        )


class NoWorkers(AppError):
    status, slug, title = 503, "no-workers", "No workers"
    permanent = True

    def __init__(self) -> None:
        super().__init__(
            "Nobody works on background runs here. The operator sets WORKERS to 1 or more, or REDIS_URL and runs "
            "`python -m app worker`."
        )


class RunExpired(AppError):
    status, slug, title = 504, "expired", "Expired"


class RunCrashed(AppError):
    status, slug, title = 500, "crashed", "Crashed"


class MalformedRequest(AppError):
    status, slug, title = 400, "malformed-request", "Malformed request"


class RequestTimeout(AppError):
    status, slug, title = 408, "request-timeout", "Request not sent in time"


class HeadTooLarge(AppError):
    status, slug, title = 431, "head-too-large", "Request head too large"


class BodyTooLarge(AppError):
    status, slug, title = 413, "body-too-large", "Body too large"


class UnsupportedMediaType(AppError):
    status, slug, title = 415, "unsupported-media-type", "Unsupported media type"

    def __init__(self, detail: str, accepted: Mapping[str, str] | None = None) -> None:
        """`accepted` is what would be taken (RFC 9110, section 15.5.16), by the names of the headers that say so."""
        super().__init__(detail)
        self.accepted = accepted or {}


class RateLimited(AppError):
    """`policy` names the limit as RateLimit-Policy does; what the service can take as a whole is not shown."""

    status, slug, title = 429, "rate-limited", "Too many requests"

    def __init__(self, policy: str, retry_after: int, *, policies: str, shown: bool, scope: str = "user") -> None:
        super().__init__(f"The limit {policy!r} is reached. Try again in {retry_after} s.", retry_after=retry_after)
        self.policy = policy
        self.scope = scope
        self.policies = policies
        self.shown = shown

    def members(self) -> Mapping[str, Any]:
        """As draft-ietf-httpapi-ratelimit-headers-11 has it for its own problem types."""
        return {"violated-policies": [self.policy]}


class BudgetExceeded(AppError):
    """What is left of the budget does not cover the most that the run may use."""

    status, slug, title = 429, "budget-exceeded", "Budget exceeded"

    def __init__(
        self, scope: str, period: str, unit: str, *, retry_after: int, resets_in: int, shared: bool = False
    ) -> None:
        """`shared`: the budget is a share of the service's, for callers without credentials."""
        whose = {"user": "your", "peer": "your proxy's", "team": "your team's", "global": "the service's"}[scope]
        what = {"usd": "US dollars", "tokens": "tokens"}[unit]
        why = " Callers without credentials have a share of the service's budget." if shared else ""
        super().__init__(
            f"What is left of {whose} budget of {what} for this {period} (UTC) does not cover the run. "
            f"The next {period} begins in {resets_in} s.{why}",
            retry_after=retry_after,
        )
        self.scope = scope
        self._members = {"budget": scope, "period": period, "unit": unit, "resets_in_seconds": resets_in}

    def members(self) -> Mapping[str, Any]:
        return self._members


class LimitsUnavailable(AppError):
    status, slug, title = 503, "limits-unavailable", "Limits unavailable"

    def __init__(self) -> None:
        super().__init__("Limits and budgets cannot be checked at the moment. Try again.", retry_after=5)


class ModelError(AppError):
    """A model call that failed. `reason` is a short, fixed word for metrics and logs, never shown to the caller.

    `cause` says more, for the log, in words of this service; `words` are the provider's own, without secrets, which the
    log has only with LOG_CONTENT.
    """

    status, slug, title = 503, "model-unavailable", "Model unavailable"

    def __init__(
        self,
        detail: str,
        *,
        reason: str,
        cause: str = "",
        words: str = "",
        provider_status: int | None = None,
        retry_after: float | None = None,
        permanent: bool = False,
    ) -> None:
        """`provider_status` is the HTTP status of the provider's answer, if there was one."""
        super().__init__(detail, retry_after=retry_after)
        self.reason = reason
        self.cause = cause
        self.words = words
        self.provider_status = provider_status
        self.permanent = permanent


class ModelRateLimited(ModelError):
    status, slug, title = 429, "model-rate-limited", "Model rate limit reached"


class ModelUnavailable(ModelError):
    """Reasons, each of which is a row of app/models/failure_table.py:

    - no connection: `unreachable`, `dns`, `connect_timeout`, `tls`
    - no answer: `disconnected` before it began, `silent` until the deadline of its first content, `timeout` of a plain
      call or by the provider's own word, `overloaded`, `shared_overload` by all its customers, `server_error`
    - no whole answer: `stalled` within its content, `cut_stream`, `broken_answer`, `wrong_content_type`, `empty_answer`
    - what only the operator can mend: `auth`, `quota`, `certificate`, `not_found`, `bad_request`
    - not called at all: `breaker_open`, `busy`, `resting`
    """


class IdentityUnavailable(AppError):
    status, slug, title = 503, "identity-unavailable", "Identity unavailable"


class StateUnavailable(AppError):
    status, slug, title = 503, "state-unavailable", "State unavailable"


class Overloaded(AppError):
    status, slug, title = 503, "overloaded", "Overloaded"


class ShuttingDown(AppError):
    status, slug, title = 503, "shutting-down", "Shutting down"

    @classmethod
    def now(cls) -> Self:
        return cls("The service is being stopped. Send the request again.", retry_after=1)


class DeadlineExceeded(AppError):
    status, slug, title = 504, "deadline-exceeded", "Deadline exceeded"

    def members(self) -> Mapping[str, Any]:
        return {"finish_reason": "deadline"}


class InternalError(AppError):
    pass
