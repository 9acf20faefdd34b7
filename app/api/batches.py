"""`/batches`: many inputs at once, answered within a day. Another user's batch is not there: 404."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from fastapi import Path, Query, Request
from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response, StreamingResponse

from app.access.principal import Principal
from app.api.batch_bodies import BatchBodies, BatchBody, BatchRequest
from app.api.caller import principal_of
from app.api.consumed_body import consume_body
from app.api.dialects.native.dialect import chosen
from app.api.dialects.native.kept_fields import seconds_of
from app.api.failures import documented
from app.api.framework import Api
from app.api.kept_runs import SCOPE
from app.api.media_type import JSON_LINES, is_json_lines
from app.api.openapi import Document, json_response
from app.api.prefix import prefix_of
from app.api.requests import Id
from app.batches.batches import Batches
from app.batches.record import Batch, BatchStatus, Result, Way
from app.durable.rendering import moment
from app.limits.limiter import AGENT, RUNS, Limiter
from app.messages import Usage
from app.settings import Settings

PATH = "/batches"
PROBLEMS = documented(404, 422, 429, 500, 503)

BatchId = Annotated[Id, Path()]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of batches")]
Cursor = Annotated[str, Query(pattern=r"^[0-9]{0,20}$", description="`next` of the page before")]


class BatchLinks(Struct, frozen=True, rename={"self_": "self"}):
    """Paths below the service's address."""

    self_: str
    results: str
    cancel: str


class BatchCounts(Struct, frozen=True):
    """Inputs, by what they came to so far."""

    total: int
    open: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int


class BatchShown(Struct, frozen=True):
    """A batch, going on or over. Times are RFC 3339 in UTC."""

    batch_id: str
    status: BatchStatus
    """`ended`: every input has a result, whatever it is."""
    way: Way
    """`provider`: through its batch API, at its lower price; `queue`: each input is a run of low priority."""
    created_at: datetime
    start_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    counts: BatchCounts
    usage: Usage
    """Of the results so far."""
    cost_usd: float
    links: BatchLinks


class BatchesPage(Struct, frozen=True):
    batches: tuple[BatchShown, ...]
    """Newest first."""
    next: str | None
    """The `cursor` of the next page; null after the last page."""


class CancelledBatch(Struct, frozen=True):
    batch_id: str
    status: BatchStatus
    """`cancelling`: what is being answered is still awaited."""


def routes(api: Api, batches: Batches, limiter: Limiter, settings: Settings) -> None:
    refer = api.schemas.refer
    listing, whole, cancelled = (json_response(refer(kind)) for kind in (BatchesPage, BatchShown, CancelledBatch))
    bodies = BatchBodies(settings.batch_inputs, settings.max_message_chars, settings.max_body_bytes)

    api.amend(_take_lines)

    @api.fast_post(
        PATH,
        body=BatchRequest,
        tags=["batches"],
        status_code=202,
        responses={
            202: whole | {"description": "The batch is kept, and goes on by itself"},
            **documented(404, 413, 415, 422, 429, 500, 503),
        },
    )
    async def make_batch(request: Request) -> Response:
        """Have many inputs answered, within a day and at a lower price where the model's provider offers that.

        As `application/jsonl` each line is an input; the first one may have the other fields, without a `custom_id`.
        """
        principal = principal_of(request)
        principal.require(SCOPE)
        lines = is_json_lines(dict(request.scope["headers"]))
        body = await bodies.read(consume_body(request) if lines else request.receive, lines=lines)
        if body.options.user_id is not None:
            principal = principal_of(request, body.options.user_id)
        batch, headers = await _take_in(principal, body)
        location = {"Location": f"{prefix_of(request.scope)}{PATH}/{batch.id}"}
        return _json(_shown(batch), {**headers, **location}, 202)

    async def _take_in(principal: Principal, body: BatchBody) -> tuple[Batch, Mapping[str, str]]:
        options, start = body.options, body.options.start_at
        asked = replace(chosen(options, settings.max_message_chars), model=options.model, agent=options.agent)
        intake = batches.begin(principal, asked)
        headers = await limiter.count(principal, AGENT)
        try:
            async for inputs in body.inputs():
                await intake.add(inputs)
            return await intake.create(0.0 if start is None else seconds_of(start)), headers
        except BaseException:
            await intake.drop()
            raise

    @api.get(PATH, tags=["batches"], responses={200: listing, **documented(422, 429, 500, 503)})
    async def list_batches(request: Request, limit: Limit = 20, cursor: Cursor = "") -> Response:
        """The caller's own batches, the newest first; without credentials those of their address."""
        principal = _caller(request)
        async with limiter.slot(principal, RUNS) as headers:
            found, following = await batches.list(principal, limit, cursor)
        return _json(BatchesPage(tuple(map(_shown, found)), following or None), headers)

    @api.get(f"{PATH}/{{batch_id}}", tags=["batches"], responses={200: whole, **PROBLEMS})
    async def get_batch(request: Request, batch_id: BatchId) -> Response:
        """How far the batch is."""
        principal = _caller(request)
        async with limiter.slot(principal, RUNS) as headers:
            batch = await batches.read(principal, batch_id)
        return _json(_shown(batch), headers)

    @api.get(
        f"{PATH}/{{batch_id}}/results",
        tags=["batches"],
        response_class=StreamingResponse,  # what documents no JSON
        responses={
            200: {
                "description": "A line for each input that has a result, in the order of the inputs",
                "content": {JSON_LINES: {"schema": {"$ref": refer(Result, "BatchResult")}}},
            },
            **PROBLEMS,
        },
    )
    async def batch_results(request: Request, batch_id: BatchId) -> Response:
        """The results so far, as JSON lines."""
        principal = _caller(request)
        async with limiter.slot(principal, RUNS) as headers:
            batch = await batches.read(principal, batch_id)
        return StreamingResponse(batches.results(batch), headers=headers, media_type=JSON_LINES)

    @api.post(
        f"{PATH}/{{batch_id}}/cancel",
        tags=["batches"],
        status_code=202,
        responses={
            202: cancelled | {"description": "It is over, or will be when what is being answered is"},
            **PROBLEMS,
            **documented(409),
        },
    )
    async def cancel_batch(request: Request, batch_id: BatchId) -> Response:
        """End the batch. What was answered by then stays, and is paid for."""
        principal = _caller(request)
        async with limiter.slot(principal, RUNS) as headers:
            status = await batches.cancel(principal, batch_id)
        return _json(CancelledBatch(batch_id, status), headers, 202)


def _take_lines(document: Document) -> None:
    """Have the OpenAPI document know of the other form that a batch can be sent in."""
    schema = {"type": "string", "description": "A JSON object a line"}
    document["paths"][PATH]["post"]["requestBody"]["content"][JSON_LINES] = {"schema": schema}


def _caller(request: Request) -> Principal:
    """Raises Forbidden."""
    principal = principal_of(request)
    principal.require(SCOPE)
    return principal


def _shown(batch: Batch) -> BatchShown:
    counts = [batch.counts.get(outcome, 0) for outcome in ("succeeded", "failed", "cancelled", "expired")]
    path = f"{PATH}/{batch.id}"
    return BatchShown(
        batch.id,
        batch.status,
        batch.way,
        moment(batch.created_at),
        _moment(batch.start_at),
        _moment(batch.started_at),
        _moment(batch.ended_at),
        BatchCounts(batch.inputs, batch.inputs - sum(counts), *counts),
        batch.usage,
        batch.cost_usd,
        BatchLinks(path, f"{path}/results", f"{path}/cancel"),
    )


def _moment(seconds: float) -> datetime | None:
    return moment(seconds) if seconds else None


def _json(body: Any, headers: Mapping[str, str], status: int = 200) -> Response:
    return Response(msgspec.json.encode(body), status, headers, "application/json")
