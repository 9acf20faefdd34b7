"""`/usage` and `/admin/usage`: what was used and what it cost, by day, user and model; where budgets stand."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Query, Request
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.problems import documented
from app.api.requests import UserId
from app.api.schemas import UsageAnswer
from app.limits.names import name_meant
from app.limits.usage import ModelUsage, Standing, UsageBook

PROBLEMS = documented(403, 422, 503)
Days = Annotated[int, Query(ge=1, le=400, description="How many days back, today included (UTC)")]
OfUser = Annotated[UserId | None, Query()]


def routes(app: FastAPI, book: UsageBook) -> None:
    @app.get("/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def usage(request: Request, days: Days = 7, user_id: OfUser = None) -> Response:
        """The caller's own."""
        principal = principal_of(request, user_id)
        return _answer(await book.of_user(principal.user, days), await book.standings(principal))

    @app.get("/admin/usage", tags=["usage"], response_model=UsageAnswer, responses=PROBLEMS)
    async def admin_usage(request: Request, days: Days = 1, user_id: OfUser = None) -> Response:
        """Everyone's, or one user's; for callers with the scope `admin`."""
        principal_of(request).require("admin")
        rows = await (book.of_all(days) if user_id is None else book.of_user(name_meant(user_id), days))
        return _answer(rows, await book.global_standings())


def _answer(rows: Sequence[ModelUsage], budgets: Sequence[Standing]) -> Response:
    body = {
        "usage": rows,
        "tokens": sum(row.input_tokens + row.output_tokens for row in rows),
        "cost_usd": round(sum(row.cost_usd for row in rows), 9),
        "budgets": budgets,
    }
    return Response(msgspec.json.encode(body), media_type="application/json")
