"""`/sessions`: one's conversations, what one holds, and forgetting it. Another user's session is not there: 404."""

from typing import Annotated

from fastapi import Path, Query, Request
from starlette.responses import Response

from app.api.caller import caller_with
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.openapi import json_response
from app.api.requests import Id, UserId
from app.api.schemas import SessionAnswer, SessionMessage, SessionsAnswer, SessionTurn
from app.errors import NotFound
from app.limits.limiter import SESSIONS, Limiter
from app.messages import AssistantMessage, Message, ToolMessage, Turn, UserMessage
from app.safety.fence import unfenced
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


def routes(api: Api, sessions: Sessions, limiter: Limiter) -> None:
    listing, whole = (json_response(api.schemas.refer(kind)) for kind in (SessionsAnswer, SessionAnswer))

    def unknown(session_id: str) -> NotFound:
        return NotFound(f"There is no session {session_id!r}.")

    @api.get("/sessions", tags=["sessions"], responses={200: listing, **documented(422, 429, 500, 503)})
    async def list_sessions(
        request: Request, limit: Limit = 50, before: Before = None, user_id: OfUser = None
    ) -> Response:
        """The caller's own sessions, the last used first."""
        principal = caller_with(request, "chat", user_id)
        async with limiter.slot(principal, SESSIONS) as headers:
            found = await sessions.list(principal.user, limit, before, address=principal.address)
        full = len(found) == limit
        return json_answer(SessionsAnswer(found, found[-1].updated_at if full else None), headers)

    @api.get("/sessions/{session_id}", tags=["sessions"], responses={200: whole, **PROBLEMS})
    async def get_session(request: Request, session_id: SessionId, user_id: OfUser = None) -> Response:
        """The turns of a session, the oldest first."""
        principal = caller_with(request, "chat", user_id)
        async with limiter.slot(principal, SESSIONS) as headers:
            turns = await sessions.load(principal.user, session_id)
        if not turns:
            raise unknown(session_id)
        return json_answer(SessionAnswer(session_id, tuple(map(_shown, turns))), headers)

    @api.delete("/sessions/{session_id}", tags=["sessions"], status_code=204, responses=PROBLEMS)
    async def delete_session(request: Request, session_id: SessionId, user_id: OfUser = None) -> None:
        """Forget it."""
        principal = caller_with(request, "chat", user_id)
        async with limiter.slot(principal, SESSIONS):
            deleted = await sessions.delete(principal.user, session_id, address=principal.address)
        if not deleted:
            raise unknown(session_id)


def _shown(turn: Turn) -> SessionTurn:
    """The turn without what is for its provider only."""
    return SessionTurn(turn.message_id, turn.created_at, tuple(map(_shown_message, turn.messages)))


def _shown_message(message: Message) -> SessionMessage:
    match message:
        case UserMessage():
            return SessionMessage("user", message.content)
        case AssistantMessage():
            return SessionMessage("assistant", message.content, message.tool_calls, message.interrupted)
        case ToolMessage():
            return SessionMessage(
                "tool",
                unfenced(message.content) if message.untrusted else message.content,
                tool_call_id=message.tool_call_id,
                name=message.name,
                is_error=message.is_error,
            )
