"""`/agent/run`: a run with its limits, its tools and an account of what it did."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from app.api.caller import check_text, principal_of
from app.api.chat import EITHER, RUN_PROBLEMS, answer, stream
from app.api.event_schemas import stream_response
from app.api.requests import AgentRunRequest
from app.api.schemas import AgentAnswer, agent_answer
from app.limits.limiter import AGENT
from app.runs.request import RunRequest
from app.runs.runner import Runner


def routes(app: FastAPI, runner: Runner, max_message_chars: int) -> None:
    responses = {200: stream_response("AgentAnswer", EITHER), **RUN_PROBLEMS}

    @app.post("/agent/run", tags=["agent"], response_model=AgentAnswer, responses=responses)
    async def agent_run(body: AgentRunRequest, request: Request) -> Response:
        """Give the agent a task; the answer tells which tools it called and how many model calls it took.

        With `stream` it comes as server-sent events instead.
        """
        principal = principal_of(request, body.user_id)
        principal.require("chat")
        run = runner.run(
            principal,
            RunRequest(
                message=check_text("query", body.query, max_message_chars),
                session_id=body.session_id,
                model=body.model,
                agent=body.agent,
                tools=None if body.tools is None else tuple(body.tools),
                max_iterations=body.max_iterations,
                max_cost_usd=body.max_cost_usd,
                stream=body.stream,
                suggestions=body.suggestions,
                operation=AGENT,
            ),
        )
        return await (stream(run, agent_answer) if body.stream else answer(run, request, agent_answer))
