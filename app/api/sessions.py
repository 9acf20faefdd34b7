"""`/sessions/{id}`: what a conversation holds, and forgetting it. Another user's session is one that is not there."""

from typing import Annotated

import msgspec
from fastapi import FastAPI, Path, Query, Request
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.problems import documented
from app.api.schemas import Id, SessionAnswer
from app.errors import NotFound
from app.limits.limiter import SESSIONS, Limiter
from app.state.sessions import Sessions

SessionId = Annotated[Id, Path()]
UserId = Annotated[Id | None, Query()]


PROBLEMS = documented(404, 422, 429, 500, 503)


def routes(app: FastAPI, sessions: Sessions, limiter: Limiter) -> None:
    def unknown(session_id: str) -> NotFound:
        return NotFound(f"There is no session {session_id!r}.")

    @app.get("/sessions/{session_id}", tags=["sessions"], response_model=SessionAnswer, responses=PROBLEMS)
    async def read_session(request: Request, session_id: SessionId, user_id: UserId = None) -> Response:
        principal = principal_of(request, user_id)
        principal.require("chat")
        async with limiter.turn(principal, SESSIONS) as headers:
            turns = await sessions.load(principal.user, session_id)
        if not turns:
            raise unknown(session_id)
        body = msgspec.json.encode({"session_id": session_id, "turns": turns})
        return Response(body, headers=headers, media_type="application/json")

    @app.delete("/sessions/{session_id}", tags=["sessions"], status_code=204, responses=PROBLEMS)
    async def delete_session(request: Request, session_id: SessionId, user_id: UserId = None) -> None:
        principal = principal_of(request, user_id)
        principal.require("chat")
        async with limiter.turn(principal, SESSIONS):
            deleted = await sessions.delete(principal.user, session_id)
        if not deleted:
            raise unknown(session_id)
