"""Errors as problem documents (RFC 9457)."""

import msgspec
from msgspec import Struct

from app.errors import AppError
from app.telemetry.context import current

MAX_INSTANCE_CHARS = 4096
TYPE_PREFIX = "urn:agent-api:problem:"


class FieldProblem(Struct, frozen=True):
    """A field of an invalid request, and what is wrong with it."""

    field: str
    problem: str


class Problem(Struct, frozen=True, omit_defaults=True):
    """A problem document (RFC 9457). What an error has nothing to say about is left out."""

    type: str
    title: str
    status: int
    detail: str
    instance: str
    request_id: str
    errors: tuple[FieldProblem, ...] = ()
    more_errors: int = 0
    """Number of other wrong fields."""
    violated_policies: tuple[str, ...] = msgspec.field(default=(), name="violated-policies")
    """The rate limits that are reached, named as RateLimit-Policy does."""
    budget: str = ""
    """The budget that does not cover the run: `user`, `peer`, `team` or `global`."""
    period: str = ""
    unit: str = ""
    resets_in_seconds: int | None = None
    finish_reason: str = ""
    run_id: str = ""
    """The run that is in the way."""
    run_status: str = ""
    """What it came to."""
    approval_status: str = ""
    """What was decided before."""
    category: str = ""
    """Of unsafe input: the class of the rule that it met."""
    oldest: int | None = None
    """The first event that is still kept."""
    retry_after_seconds: int | None = None
    """Of the last event of a stream, whose header was sent before: after how long another try makes sense."""


def document(error: AppError, path: str) -> Problem:
    """The error's problem document; its `instance` is the path that was asked for, cut to MAX_INSTANCE_CHARS."""
    return msgspec.convert(
        {
            "type": TYPE_PREFIX + error.slug,
            "title": error.title,
            "status": error.status,
            "detail": error.detail,
            "instance": path[:MAX_INSTANCE_CHARS],
            "request_id": current.get().request_id,
            **error.members(),
        },
        Problem,
    )
