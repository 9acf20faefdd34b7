"""`/batches`: many inputs at once, answered within a day. Another user's batch is not there: 404."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path, Query, Request
from msgspec.structs import replace
from starlette.responses import Response, StreamingResponse

from app.access.principal import Principal
from app.api.batch_bodies import BatchBodies, BatchBody
from app.api.batch_views import PATH, BatchesPage, BatchShown, CancelledBatch, shown
from app.api.caller import caller_with, principal_of
from app.api.consumed_body import consume_body
from app.api.dialects.native.batch_requests import BatchRequest
from app.api.dialects.native.dialect import chosen
from app.api.dialects.native.kept_fields import seconds_of
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.kept_runs import SCOPE
from app.api.media_type import JSON_LINES, is_json_lines
from app.api.openapi import json_response
from app.api.prefix import prefix_of
from app.api.requests import Id
from app.batches.batches import Batches
from app.batches.record import Batch, Result
from app.limits.limiter import AGENT, RUNS, Limiter
from app.settings import Settings

PROBLEMS = documented(404, 422, 429, 500, 503)

BatchId = Annotated[Id, Path()]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of batches")]
Cursor = Annotated[str, Query(pattern=r"^[0-9]{0,20}$", description="`next` of the page before")]


def routes(api: Api, batches: Batches, limiter: Limiter, settings: Settings) -> None:
    refer = api.schemas.refer
    listing, whole, cancelled = (json_response(refer(kind)) for kind in (BatchesPage, BatchShown, CancelledBatch))
    refer(Result, "BatchResult")
    bodies = BatchBodies(settings.batch_inputs, settings.max_message_chars, settings.max_body_bytes)

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
        principal = caller_with(request, SCOPE)
        lines = is_json_lines(dict(request.scope["headers"]))
        body = await bodies.read(consume_body(request) if lines else request.receive, lines=lines)
        if body.options.user_id is not None:
            principal = principal_of(request, body.options.user_id)
        batch, headers = await _take_in(principal, body)
        location = {"Location": f"{prefix_of(request.scope)}{PATH}/{batch.id}"}
        return json_answer(shown(batch), {**headers, **location}, 202)

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
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            found, following = await batches.list(principal, limit, cursor)
        return json_answer(BatchesPage(tuple(map(shown, found)), following or None), headers)

    @api.get(f"{PATH}/{{batch_id}}", tags=["batches"], responses={200: whole, **PROBLEMS})
    async def get_batch(request: Request, batch_id: BatchId) -> Response:
        """How far the batch is."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            batch = await batches.read(principal, batch_id)
        return json_answer(shown(batch), headers)

    @api.get(
        f"{PATH}/{{batch_id}}/results",
        tags=["batches"],
        response_class=StreamingResponse,  # what documents no JSON
        responses={
            200: {
                "description": f"`{JSON_LINES}`: a BatchResult a line, in the order of the inputs"
            },  # not generators'
            **PROBLEMS,
        },
    )
    async def batch_results(request: Request, batch_id: BatchId) -> Response:
        """The results so far, as JSON lines."""
        principal = caller_with(request, SCOPE)
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
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            status = await batches.cancel(principal, batch_id)
        return json_answer(CancelledBatch(batch_id, status), headers, 202)
