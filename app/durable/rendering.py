"""A run as callers see it: `GET /runs/{id}` and webhooks show the same JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from app.durable.approvals.record import Approval
from app.durable.approvals.rendering import PendingApproval, pending
from app.durable.event_codec import decode_error
from app.durable.moments import moment, moment_or_none
from app.durable.record import Record, RunStatus
from app.runs.answers import AgentAnswer, agent_answer
from app.runs.events import Answer
from app.runs.problems import Problem, document

_decode_answer = msgspec.json.Decoder(Answer).decode


class RunLinks(Struct, frozen=True, rename={"self_": "self"}):
    """Paths below the service's address."""

    self_: str
    events: str
    cancel: str


class Run(Struct, frozen=True):
    """A run, going on or over. Times are RFC 3339 in UTC."""

    run_id: str
    session_id: str
    agent: str
    status: RunStatus
    created_at: datetime
    start_at: datetime | None
    """The time before which it does not begin, where the request named one."""
    started_at: datetime | None
    ended_at: datetime | None
    crashes: int
    """Workers that died while they had it."""
    last_event: int
    answer: AgentAnswer | None
    """The answer of a run that succeeded, as `/agent/run` has it."""
    error: Problem | None
    """Why there is no answer, of a run that is over without one."""
    approvals: tuple[PendingApproval, ...]
    """Tool calls that a run which is `waiting` waits for."""
    waiting_until: datetime | None
    """When it expires unless they are decided on."""
    links: RunLinks


def run_of(record: Record, waits_for: Sequence[Approval] = ()) -> Run:
    """`waits_for`: the approvals that a `waiting` run waits for."""
    work = record.work
    links = links_of(work.run_id)
    return Run(
        run_id=work.run_id,
        session_id=work.session_id,
        agent=record.agent,
        status=record.status,
        created_at=moment(record.created_at),
        start_at=moment_or_none(record.start_at),
        started_at=moment_or_none(record.started_at),
        ended_at=moment_or_none(record.ended_at),
        crashes=record.crashes,
        last_event=record.last_event,
        answer=agent_answer(_decode_answer(record.answer)) if record.answer else None,
        error=_problem_of(record, links.self_) if record.error else None,
        approvals=tuple(map(pending, waits_for)),
        waiting_until=moment_or_none(record.waits_until) if record.status == "waiting" else None,
        links=links,
    )


def _problem_of(record: Record, path: str) -> Problem:
    return replace(document(decode_error(record.error), path), request_id=record.work.request_id)


def links_of(run_id: str) -> RunLinks:
    path = f"/runs/{run_id}"
    return RunLinks(path, f"{path}/events", f"{path}/cancel")


def as_json(run: Run) -> Mapping[str, Any]:
    """The run's JSON as values, in the same order."""
    shown: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(run))
    return shown
