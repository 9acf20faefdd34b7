"""`/usage` and `/admin/usage`: what was used and what it cost, by day, user and model; where budgets stand."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.problems import documented
from app.api.schemas import Id, UsageAnswer
from app.limits.limiter import USAGE, Limiter
from app.limits.usage import ModelUsage, Standing, UsageBook

PROBLEMS = documented(403, 422, 429, 503)
Days = Annotated[int, Query(ge=1, le=400, description="How many days back, today included (UTC)")]
UserId = Annotated[Id | None, Query()]


def routes(app: FastAPI, limiter: Limiter, book: UsageBook) -> None:
    @app.get("/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def own_usage(request: Request, days: Days = 7, user_id: UserId = None) -> Response:
        """The caller's own; without credentials what their address used, under the name they give."""
        principal = principal_of(request, user_id)
        async with limiter.turn(principal, USAGE) as headers:
            return _answer(await book.of_caller(principal, days), await book.standings(principal), headers)

    @app.get("/admin/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def all_usage(request: Request, days: Days = 1, user_id: UserId = None) -> Response:
        """Everyone's, or one user's; for callers with the scope `admin`."""
        principal = principal_of(request)
        principal.require("admin")
        async with limiter.turn(principal, USAGE) as headers:
            rows = await (book.of_all(days) if user_id is None else book.of_user(user_id, days))
            return _answer(rows, await book.global_standings(), headers)


def _answer(rows: Sequence[ModelUsage], budgets: Sequence[Standing], headers: Mapping[str, str]) -> Response:
    body = {
        "usage": rows,
        "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
        "cost_usd": round(sum(row.cost_usd for row in rows), 9),
        "budgets": budgets,
    }
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")
