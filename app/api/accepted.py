"""202: a run that is kept and not over. It goes on by itself, or waits for a person."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from fastapi import Request
from msgspec import Struct
from starlette.responses import Response

from app.api.idempotency import REPLAYED
from app.api.json_answer import json_answer
from app.api.openapi import json_response
from app.api.prefix import prefix_of
from app.durable.approvals.rendering import PendingApproval
from app.durable.moments import moment
from app.durable.record import Record, RunStatus
from app.durable.rendering import RunLinks, links_of


class AcceptedRun(Struct, frozen=True, omit_defaults=True):
    """A run that is not over."""

    run_id: str
    session_id: str
    agent: str
    status: RunStatus
    """`queued`: it goes on by itself, also in the answer to a request that was sent again; `waiting`: it does so when
    all of `approvals` are decided on."""
    created_at: datetime
    links: RunLinks
    approvals: tuple[PendingApproval, ...] = ()
    """Tool calls that wait for a person; left out where there are none."""


def accepted_response(refer: Callable[[type], str], *, waits: bool = True) -> dict[str, Any]:
    """The documented response; `waits`: also that of a request whose answer is awaited."""
    by_itself = "The run is kept, and goes on by itself"
    description = f"{by_itself}, or waits for the decision of a person" if waits else by_itself
    return json_response(refer(AcceptedRun)) | {"description": description}


def accepted(
    request: Request,
    record: Record,
    headers: Mapping[str, str],
    *,
    replayed: bool,
    status: RunStatus = "queued",
    approvals: Sequence[PendingApproval] = (),
) -> Response:
    """The answer. `approvals` are those that a `waiting` run waits for."""
    run_id = record.work.run_id
    shown = AcceptedRun(
        run_id,
        record.work.session_id,
        record.agent,
        status,
        moment(record.created_at),
        links_of(run_id),
        tuple(approvals),
    )
    return json_answer(shown, {**headers, **whereabouts(request, run_id, replayed=replayed)}, 202)


def whereabouts(request: Request, run_id: str, *, replayed: bool) -> Mapping[str, str]:
    """Headers that tell where the run is."""
    location = {"Location": f"{prefix_of(request.scope)}/runs/{run_id}"}
    return {**location, REPLAYED: "true"} if replayed else location
