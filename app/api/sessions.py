"""`/sessions`: one's conversations, what one holds, and forgetting it. Another user's session is not there: 404."""

from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from fastapi import FastAPI, Path, Query, Request
from msgspec.structs import replace
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.problems import documented
from app.api.requests import Id, UserId
from app.api.schemas import SessionAnswer, SessionsAnswer
from app.errors import NotFound
from app.limits.limiter import SESSIONS, Limiter
from app.messages import AssistantMessage, Message, Turn
from app.state.sessions import Sessions

SessionId = Annotated[Id, Path()]
OfUser = Annotated[UserId | None, Query()]
Limit = Annotated[int, Query(ge=1, le=100, description="Maximum number of sessions")]
Before = Annotated[
    float | None,
    Query(
        ge=0,
        le=1e11,
        allow_inf_nan=False,
        description="Only sessions last used before this time, in seconds since the epoch: `next_before` of the page "
        "before",
    ),
]

PROBLEMS = documented(404, 422, 429, 500, 503)


def routes(app: FastAPI, sessions: Sessions, limiter: Limiter) -> None:
    def unknown(session_id: str) -> NotFound:
        return NotFound(f"There is no session {session_id!r}.")

    @app.get("/sessions", tags=["sessions"], response_model=SessionsAnswer, responses=documented(422, 429, 500, 503))
    async def list_sessions(
        request: Request, limit: Limit = 50, before: Before = None, user_id: OfUser = None
    ) -> Response:
        """The caller's own sessions, the last used first."""
        principal = principal_of(request, user_id)
        principal.require("chat")
        async with limiter.slot(principal, SESSIONS) as headers:
            found = await sessions.list(principal.user, limit, before, address=principal.address)
        full = len(found) == limit
        return _json({"sessions": found, "next_before": found[-1].updated_at if full else None}, headers)

    @app.get("/sessions/{session_id}", tags=["sessions"], response_model=SessionAnswer, responses=PROBLEMS)
    async def get_session(request: Request, session_id: SessionId, user_id: OfUser = None) -> Response:
        """What was said, the oldest turn first."""
        principal = principal_of(request, user_id)
        principal.require("chat")
        async with limiter.slot(principal, SESSIONS) as headers:
            turns = await sessions.load(principal.user, session_id)
        if not turns:
            raise unknown(session_id)
        return _json({"session_id": session_id, "turns": [_shown(turn) for turn in turns]}, headers)

    @app.delete("/sessions/{session_id}", tags=["sessions"], status_code=204, responses=PROBLEMS)
    async def delete_session(request: Request, session_id: SessionId, user_id: OfUser = None) -> None:
        """Forget it."""
        principal = principal_of(request, user_id)
        principal.require("chat")
        async with limiter.slot(principal, SESSIONS):
            deleted = await sessions.delete(principal.user, session_id, address=principal.address)
        if not deleted:
            raise unknown(session_id)


def _json(body: object, headers: Mapping[str, str]) -> Response:
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")


def _shown(turn: Turn) -> Turn:
    """The turn without what is for its provider only."""
    if not any(_has_extras(message) for message in turn.messages):
        return turn
    messages: Sequence[Message] = turn.messages
    return replace(turn, messages=tuple(replace(each, extras=None) if _has_extras(each) else each for each in messages))


def _has_extras(message: Message) -> bool:
    return isinstance(message, AssistantMessage) and message.extras is not None
