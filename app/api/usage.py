"""`/usage` and `/admin/usage`: what was used and what it cost, by day, user and model; where budgets stand."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

from fastapi import Query, Request
from starlette.responses import Response

from app.access.names import own_name, users_called
from app.api.administration import administrator
from app.api.caller import principal_of
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.openapi import json_response
from app.api.requests import UserId
from app.api.schemas import UsageAnswer
from app.audit.audit import NO_AUDIT, Audit
from app.limits.limiter import USAGE, Limiter
from app.limits.usage import ModelUsage, Standing

PROBLEMS = documented(403, 422, 429, 503)
Days = Annotated[int, Query(ge=1, le=400, description="How many days back, today included (UTC)")]
OfUser = Annotated[UserId | None, Query()]
AnyUser = Annotated[
    str | None,
    Query(min_length=1, max_length=256, description="`ada`, or `jwt:ada` for the one of that name who has a token"),
]


def routes(api: Api, limiter: Limiter, audit: Audit = NO_AUDIT) -> None:
    book = limiter.usage
    responses = {200: json_response(api.schemas.refer(UsageAnswer)), **PROBLEMS}

    @api.get("/usage", tags=["usage"], responses=responses)
    async def usage(request: Request, days: Days = 7, user_id: OfUser = None) -> Response:
        """The caller's own; without credentials what their address used, under the name they give."""
        principal = principal_of(request, user_id)
        async with limiter.slot(principal, USAGE) as headers:
            rows = [replace(row, user=own_name(row.user)) for row in await book.of_caller(principal, days)]
            return _answer(rows, await book.standings(principal), headers)

    @api.get("/admin/usage", tags=["usage"], responses=responses)
    async def admin_usage(request: Request, days: Days = 1, user_id: AnyUser = None) -> Response:
        """Everyone's, or that of all who are called `user_id`; for callers with the scope `admin`."""
        principal = await administrator(request, audit, "/admin/usage")
        async with limiter.slot(principal, USAGE) as headers:
            rows = await (book.of_all(days) if user_id is None else book.of_users(users_called(user_id), days))
            return _answer(rows, await book.global_standings(), headers)


def _answer(rows: Sequence[ModelUsage], budgets: Sequence[Standing], headers: Mapping[str, str]) -> Response:
    body = UsageAnswer(
        rows,
        tokens=sum(row.input_tokens + row.output_tokens for row in rows),
        cost_usd=round(sum(row.cost_usd for row in rows), 9),
        budgets=budgets,
    )
    return json_answer(body, headers)
