"""`/usage` and `/admin/usage`: what was used and what it cost, by day, user and model; where budgets stand."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.problems import documented
from app.api.schemas import Id, UsageAnswer
from app.limits.names import own_name, users_called
from app.limits.usage import ModelUsage, Standing, UsageBook

PROBLEMS = documented(403, 422, 503)
Days = Annotated[int, Query(ge=1, le=400, description="How many days back, today included (UTC)")]
UserId = Annotated[Id | None, Query()]
AnyUser = Annotated[
    str | None,
    Query(min_length=1, max_length=256, description="`ada`, or `jwt:ada` for the one of that name who has a token"),
]


def routes(app: FastAPI, book: UsageBook) -> None:
    @app.get("/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def own_usage(request: Request, days: Days = 7, user_id: UserId = None) -> Response:
        """The caller's own."""
        principal = principal_of(request, user_id)
        rows = [replace(row, user=own_name(row.user)) for row in await book.of_user(principal.user, days)]
        return _answer(rows, await book.standings(principal))

    @app.get("/admin/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def all_usage(request: Request, days: Days = 1, user_id: AnyUser = None) -> Response:
        """Everyone's, or that of all who are called `user_id`; for callers with the scope `admin`."""
        principal_of(request).require("admin")
        rows = await (book.of_all(days) if user_id is None else book.of_users(users_called(user_id), days))
        return _answer(rows, await book.global_standings())


def _answer(rows: Sequence[ModelUsage], budgets: Sequence[Standing]) -> Response:
    body = {
        "usage": rows,
        "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
        "cost_usd": round(sum(row.cost_usd for row in rows), 9),
        "budgets": budgets,
    }
    return Response(msgspec.json.encode(body), media_type="application/json")
