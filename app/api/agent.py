"""`/agent/run`: a run with its limits, its tools and an account of what it did."""

from fastapi import Request
from starlette.responses import Response

from app.api.accepted import accepted_response
from app.api.answering import RUN_HEADERS, RUN_PROBLEMS, answer
from app.api.chat import EITHER
from app.api.dialects.native import dialect
from app.api.dialects.native.events import documented
from app.api.dialects.native.requests import AgentRunRequest
from app.api.framework import Api
from app.api.kept_runs import KeptRuns
from app.api.openapi import also_json
from app.runs.answers import AgentAnswer
from app.runs.runner import Runner


def routes(api: Api, runner: Runner, kept: KeptRuns, max_message_chars: int) -> None:
    native = dialect.agent(max_message_chars)
    agent_answer = api.schemas.refer(AgentAnswer)
    either = also_json(agent_answer, documented(agent_answer, api.schemas.refer, EITHER))

    @api.fast_post(
        "/agent/run",
        body=AgentRunRequest,
        dialect=native,
        headers=RUN_HEADERS,
        tags=["agent"],
        responses={200: either, 202: accepted_response(api.schemas.refer), **RUN_PROBLEMS},
    )
    async def agent_run(request: Request) -> Response:
        """Give the agent a task; the answer tells which tools it called and how many model calls it took.

        Where a person has to approve a tool call before, the answer is 202 and where the run waits for that. With
        `stream` it comes as server-sent events instead.
        """
        return await answer(request, runner, kept, native)
