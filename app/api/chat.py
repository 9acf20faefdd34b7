"""`/chat` and `/chat/stream`, also under `/api`: a conversation with an agent."""

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response, StreamingResponse

from app.api.caller import check_text, principal_of
from app.api.event_schemas import stream_response
from app.api.problems import CLIENT_CLOSED_REQUEST, documented
from app.api.requests import ChatRequest
from app.api.schemas import ChatAnswer, chat_answer
from app.api.streams import ClientGone, EventStream, Render, fold
from app.runs.events import RunFailed
from app.runs.handle import RunHandle
from app.runs.request import RunRequest
from app.runs.runner import Runner

RUN_PROBLEMS = documented(404, 413, 415, 422, 429, 500, 503, 504)
EITHER = "The answer whole as JSON, or with `stream: true` the run's events, as server-sent events."


async def answer(run: RunHandle, request: Request, render: Render) -> Response:
    """The run's answer, whole."""
    try:
        whole, headers = await fold(run, request)
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return Response(msgspec.json.encode(render(whole)), headers=headers, media_type="application/json")


async def stream(run: RunHandle, render: Render) -> Response:
    """The run's events. A run that fails before it starts raises its error, which then has a status of its own."""
    await run.wait()
    events = run.take()
    if events and isinstance(events[0], RunFailed):
        raise events[0].error
    return EventStream(run, events, render)


def routes(app: FastAPI, runner: Runner, max_message_chars: int) -> None:
    def start(body: ChatRequest, request: Request, *, streamed: bool) -> RunHandle:
        principal = principal_of(request, body.user_id)
        principal.require("chat")
        return runner.run(
            principal,
            RunRequest(
                message=check_text("message", body.message, max_message_chars),
                session_id=body.session_id,
                model=body.model,
                agent=body.agent,
                stream=streamed,
            ),
        )

    async def chat(body: ChatRequest, request: Request) -> Response:
        """Ask; the answer comes whole.

        With `stream` it comes as server-sent events instead, at the same status: two media types that generated
        clients cannot tell apart before they read the header. `/chat/stream` always streams and is the one for them.
        """
        run = start(body, request, streamed=body.stream)
        return await (stream(run, chat_answer) if body.stream else answer(run, request, chat_answer))

    async def chat_stream(body: ChatRequest, request: Request) -> Response:
        """Ask; the run's events come as they happen (server-sent events)."""
        return await stream(start(body, request, streamed=True), chat_answer)

    for prefix, named in (("", ""), ("/api", "api_")):
        app.post(
            f"{prefix}/chat",
            name=f"{named}chat",
            tags=["chat"],
            response_model=ChatAnswer,
            responses={200: stream_response("ChatAnswer", EITHER), **RUN_PROBLEMS},
        )(chat)
        app.post(
            f"{prefix}/chat/stream",
            name=f"{named}chat_stream",
            tags=["chat"],
            response_class=StreamingResponse,  # what documents no JSON
            responses={200: stream_response("ChatAnswer"), **RUN_PROBLEMS},
        )(chat_stream)
