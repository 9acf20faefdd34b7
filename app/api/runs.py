"""`/runs`: runs that go on by themselves, whoever made them. Another user's run is not there: 404."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

from fastapi import Path, Query, Request
from msgspec import Struct
from starlette.responses import Response, StreamingResponse

from app.access.principal import Principal
from app.api.accepted import accepted_response
from app.api.answering import RUN_HEADERS
from app.api.body import receive_body
from app.api.caller import caller_with, principal_of
from app.api.dialects.native import dialect
from app.api.dialects.native.events import documented as documented_events
from app.api.dialects.native.requests import RunsRequest
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.kept_runs import SCOPE, KeptRuns
from app.api.last_event_id import LAST_EVENT_ID, last_event_id
from app.api.openapi import json_response
from app.api.requests import Id
from app.api.served_run import KeptRun, note_kept_run
from app.durable.approvals.record import Approval
from app.durable.record import Record, RunStatus
from app.durable.rendering import Run, run_of
from app.durable.runs import DurableRuns
from app.limits.limiter import AGENT, RUNS, Limiter
from app.runs.answers import AgentAnswer

RunId = Annotated[Id, Path()]
OfSession = Annotated[Id | None, Query(description="Only runs of this session")]
OfStatus = Annotated[RunStatus | None, Query(description="Only runs of this status")]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of runs")]
Cursor = Annotated[str | None, Query(min_length=1, max_length=256, description="`next` of the page before")]
After = Annotated[
    int, Query(ge=0, lt=10**15, description="Only events after this one; `Last-Event-ID` counts before it")
]

PendingOf = Callable[[str], Awaitable[Sequence[Approval]]]
"""The approvals that a run waits for."""

PROBLEMS = documented(404, 422, 429, 500, 503)


class RunsPage(Struct, frozen=True):
    runs: tuple[Run, ...]
    """Newest first."""
    next: str | None
    """The `cursor` of the next page; null after the last page."""


class CancelledRun(Struct, frozen=True):
    run_id: str
    status: RunStatus
    """`running`: its worker has been told, and ends it in a moment."""


def routes(
    api: Api, runs: DurableRuns, pending_of: PendingOf, kept: KeptRuns, limiter: Limiter, max_message_chars: int
) -> None:
    refer = api.schemas.refer
    listing, whole, cancelled = (json_response(refer(kind)) for kind in (RunsPage, Run, CancelledRun))
    task = dialect.task(max_message_chars)

    @api.fast_post(
        "/runs",
        body=RunsRequest,
        dialect=task,
        headers=RUN_HEADERS,
        tags=["runs"],
        status_code=202,
        responses={202: accepted_response(refer, waits=False), **documented(404, 409, 413, 415, 422, 429, 500, 503)},
    )
    async def make_run(request: Request) -> Response:
        """Give an agent a task that outlives the request. `Location` tells where the run is."""
        body = await receive_body(request.receive)
        asked = task.request(body)
        return await kept.accept(request, principal_of(request, asked.user_id), asked, body)

    async def show(record: Record) -> Run:
        waits = record.status == "waiting"
        return run_of(record, await pending_of(record.work.run_id) if waits else ())

    @api.get("/runs", tags=["runs"], responses={200: listing, **documented(422, 429, 500, 503)})
    async def list_runs(
        request: Request,
        session_id: OfSession = None,
        status: OfStatus = None,
        limit: Limit = 20,
        cursor: Cursor = None,
    ) -> Response:
        """The caller's own runs, the newest first; without credentials those of their address."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            page = await runs.list(principal, session=session_id or "", status=status, cursor=cursor or "", limit=limit)
            shown = [await show(record) for record in page.runs]
        return json_answer(RunsPage(tuple(shown), page.next or None), headers)

    @api.get("/runs/{run_id}", tags=["runs"], responses={200: whole, **PROBLEMS})
    async def get_run(request: Request, run_id: RunId) -> Response:
        """How far the run is, and what it came to."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            record = await runs.read(principal, run_id)
            shown = await show(record)
        _note(request, principal, record)
        return json_answer(shown, headers)

    chat_events = dialect.chat(max_message_chars, always_streams=True)

    @api.get(
        "/runs/{run_id}/events",
        tags=["runs"],
        response_class=StreamingResponse,  # what documents no JSON
        responses={200: documented_events(refer(AgentAnswer), refer), **documented(404, 410, 422, 429, 500, 503)},
        openapi_extra={"parameters": [LAST_EVENT_ID]},
    )
    async def run_events(request: Request, run_id: RunId, after: After = 0) -> Response:
        """The run's events from the first on, or after the one that is named: those there are and those to come, to the
        last, whose data is what the route that made the run answers with. Events that are not kept any more are 410,
        which tells the oldest."""
        principal = caller_with(request, SCOPE)
        number = last_event_id(request.scope, after)
        async with limiter.slot(principal, RUNS) as headers:
            record = await runs.read(principal, run_id)
            events = await runs.follow(principal, run_id, number)
        _note(request, principal, record)
        shown = task if record.work.request.operation == AGENT else chat_events
        return kept.follow(principal, events, shown, headers)

    @api.post(
        "/runs/{run_id}/cancel",
        tags=["runs"],
        status_code=202,
        responses={
            202: cancelled | {"description": "It is over, or will be in a moment"},
            **PROBLEMS,
            **documented(409),
        },
    )
    async def cancel_run(request: Request, run_id: RunId) -> Response:
        """End the run. Its last event is then `run.failed` with the problem `cancelled`."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            status = await runs.cancel(principal, run_id)
        return json_answer(CancelledRun(run_id, status), headers, 202)


def _note(request: Request, principal: Principal, record: Record) -> None:
    note_kept_run(request.scope, KeptRun(record.work.run_id, principal.user, record.agent))
