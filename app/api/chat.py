"""`/chat` and `/chat/stream`, also under `/api`: a conversation with an agent."""

from fastapi import Request
from starlette.responses import Response, StreamingResponse

from app.api.accepted import accepted_response
from app.api.answering import RUN_HEADERS, RUN_PROBLEMS, answer
from app.api.dialects.native import dialect
from app.api.dialects.native.events import documented
from app.api.dialects.native.requests import ChatRequest
from app.api.framework import Api
from app.api.kept_runs import KeptRuns
from app.api.openapi import also_json
from app.runs.answers import ChatAnswer
from app.runs.runner import Runner

EITHER = "The answer whole as JSON, or with `stream: true` the run's events, as server-sent events."


def routes(api: Api, runner: Runner, kept: KeptRuns, max_message_chars: int) -> None:
    whole = dialect.chat(max_message_chars)
    streamed = dialect.chat(max_message_chars, always_streams=True)
    refer = api.schemas.refer
    chat_answer = refer(ChatAnswer)

    async def chat(request: Request) -> Response:
        """Ask; the answer comes whole. Where a person has to approve a tool call before, the answer is 202 and where
        the run waits for that.

        With `stream` it comes as server-sent events instead, at the same status: two media types that generated
        clients cannot tell apart before they read the header. `/chat/stream` always streams and is the one for them.
        """
        return await answer(request, runner, kept, whole)

    async def chat_stream(request: Request) -> Response:
        """Ask; the run's events come as they happen (server-sent events)."""
        return await answer(request, runner, kept, streamed)

    for prefix, named in (("", ""), ("/api", "api_")):
        api.fast_post(
            f"{prefix}/chat",
            name=f"{named}chat",
            body=ChatRequest,
            dialect=whole,
            headers=RUN_HEADERS,
            tags=["chat"],
            responses={
                200: also_json(chat_answer, documented(chat_answer, refer, EITHER)),
                202: accepted_response(refer),
                **RUN_PROBLEMS,
            },
        )(chat)
        api.fast_post(
            f"{prefix}/chat/stream",
            name=f"{named}chat_stream",
            body=ChatRequest,
            dialect=streamed,
            headers=RUN_HEADERS,
            tags=["chat"],
            response_class=StreamingResponse,  # what documents no JSON
            responses={200: documented(chat_answer, refer), **RUN_PROBLEMS},
        )(chat_stream)
