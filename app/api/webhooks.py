"""`/runs/{run_id}/deliveries`, `/runs/{run_id}/redeliver`: what became of a run's webhook, and sending it again."""

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Annotated

from fastapi import Path, Request
from msgspec import Struct
from msgspec.structs import replace
from starlette.responses import Response

from app.access.principal import Principal
from app.api.caller import caller_with
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.kept_runs import SCOPE
from app.api.openapi import json_response
from app.api.requests import Id
from app.durable.record import Record
from app.durable.webhooks.outbox import Delivery
from app.errors import Conflict
from app.limits.limiter import RUNS, Limiter
from app.redaction.redactor import Redactor, cleaned

if TYPE_CHECKING:
    from app.durable.webhooks.webhooks import Webhooks

RunId = Annotated[Id, Path()]
ReadRun = Callable[[Principal, str], Awaitable[Record]]
"""A caller's own run. Raises NotFound."""

PROBLEMS = documented(404, 422, 429, 500, 503)


class Deliveries(Struct, frozen=True):
    deliveries: Sequence[Delivery]
    """One, or none: the run has no webhook, or is not over."""


class RedeliveredRun(Struct, frozen=True):
    run_id: str


def routes(
    api: Api, read_run: ReadRun, webhooks: "Webhooks | None", limiter: Limiter, redactor: Redactor | None = None
) -> None:
    """`webhooks` is None where none are sent. `redactor` takes secrets out of their URLs, as some have in the path."""
    listing, accepted = (json_response(api.schemas.refer(kind)) for kind in (Deliveries, RedeliveredRun))

    @api.get("/runs/{run_id}/deliveries", tags=["runs"], responses={200: listing, **PROBLEMS})
    async def list_deliveries(request: Request, run_id: RunId) -> Response:
        """What became of the run's webhook, attempt by attempt."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            record = await read_run(principal, run_id)
            found = () if webhooks is None else await webhooks.deliveries(record)
        found = [replace(each, url=cleaned(redactor, each.url)) for each in found]
        return json_answer(Deliveries(found), headers)

    @api.post(
        "/runs/{run_id}/redeliver",
        tags=["runs"],
        status_code=202,
        responses={202: accepted | {"description": "It is sent in a moment"}, **PROBLEMS, **documented(409)},
    )
    async def redeliver(request: Request, run_id: RunId) -> Response:
        """Send the webhook of a run that is over again, with the same id and body and all attempts before it."""
        principal = caller_with(request, SCOPE)
        async with limiter.slot(principal, RUNS) as headers:
            record = await read_run(principal, run_id)
            if webhooks is None:
                raise Conflict("This service sends no webhooks (WEBHOOK_SECRETS_DIR is not set).")
            await webhooks.redeliver(record)
        return json_answer(RedeliveredRun(run_id), headers, 202)
