"""`/api/tools`: what the agent can do, and doing one of it by hand."""

import msgspec
from fastapi import FastAPI, Request
from starlette.responses import Response

from app.api.caller import principal_of
from app.api.cancel_on_disconnect import attended
from app.api.lifecycle import Lifecycle
from app.api.problems import documented
from app.api.requests import ToolCallBody
from app.api.schemas import ToolAnswer, ToolDescription
from app.ids import new_id
from app.limits.limiter import TOOLS, Limiter
from app.messages import ToolCall
from app.tools.executor import execute
from app.tools.registry import Registry

TOOL_PROBLEMS = documented(404, 413, 415, 422, 429, 500, 503)


def routes(app: FastAPI, tools: Registry, limiter: Limiter, lifecycle: Lifecycle) -> None:
    listing = msgspec.json.encode(
        [ToolDescription(tool.name, tool.description, dict(tool.parameters), tool.risk) for tool in tools.values()]
    )

    @app.get("/api/tools", tags=["tools"], response_model=list[ToolDescription], responses=documented(429))
    async def list_tools(request: Request) -> Response:
        async with limiter.slot(principal_of(request), TOOLS) as headers:
            return Response(listing, headers=headers, media_type="application/json")

    @app.post("/api/tools/{name}", tags=["tools"], response_model=ToolAnswer, responses=TOOL_PROBLEMS)
    async def call_tool(body: ToolCallBody, request: Request, name: str) -> Response:
        """A tool that fails answers 200 with `success` false and the reason in `error`, as the model would see it."""
        principal = principal_of(request)
        principal.require_tool(name)
        known = tools.subset((name,))
        async with limiter.slot(principal, f"tool:{name}") as headers:
            call = execute(known, ToolCall(new_id(), name, body.arguments))
            result = await attended(call, request, lifecycle)
        answer = ToolAnswer(result.status == "ok", result.result, result.error)
        return Response(msgspec.json.encode(answer), headers=headers, media_type="application/json")
