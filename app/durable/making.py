"""A run that is to be kept, made of a request, and what its making came to."""

from collections.abc import Mapping

from msgspec import Struct

from app.access.principal import Principal
from app.agents.definition import Agent
from app.durable.callers import kept_caller
from app.durable.keeping import IdempotencyKey, Keeping
from app.durable.record import SOON, Created, NewRun, Record, Work
from app.durable.run_events import RunEvents
from app.ids import new_id
from app.limits.calls import Call
from app.runs.request import RunRequest
from app.telemetry.context import current
from app.telemetry.propagation import traceparent


class Accepted(Struct, frozen=True):
    """A run that was made, or found by its Idempotency-Key."""

    record: Record
    replayed: bool
    headers: Mapping[str, str]
    """Where the caller stands with their limits."""


class Begun(Struct, frozen=True):
    """A run whose events are to be streamed. They are the caller's to close."""

    run_id: str
    agent: Agent
    events: RunEvents
    replayed: bool
    here: bool
    """This process works on it: its first event is a matter of moments."""
    headers: Mapping[str, str]


def new_work(principal: Principal, request: RunRequest, keeping: Keeping, batch: str = "") -> Work:
    """Of the HTTP request that is being served: its id and its trace are the run's."""
    return Work(
        run_id=new_id(),
        session_id=request.session_id or new_id(),
        caller=kept_caller(principal),
        request=request,
        request_id=current.get().request_id,
        traceparent=traceparent(),
        webhook=keeping.webhook,
        batch=batch,
        plain=keeping.plain,
    )


def new_run(
    work: Work,
    owner: str,
    agent: str,
    keeping: Keeping,
    key: IdempotencyKey,
    *,
    priority: int = SOON,
    counting: Call | None = None,
    admitting: Call | None = None,
    here: bool = False,
) -> NewRun:
    """Where it is begun `here`, what its limits are asked goes with it."""
    return NewRun(
        work,
        owner,
        agent,
        session="" if keeping.plain else work.request.session_id or "",
        on_busy=keeping.on_busy,
        start_at=keeping.start_at,
        priority=priority,
        idempotency_key=key.key,
        fingerprint=key.fingerprint,
        here=here,
        counting=counting,
        admitting=admitting,
    )


def new_record(new: NewRun, created: Created) -> Record:
    """As it is before anybody has worked on it."""
    return Record(new.work, new.owner, new.agent, "queued", created.created_at, new.start_at)
