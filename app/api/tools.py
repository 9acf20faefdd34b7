"""`/api/tools`: what the agent can do, and doing one of it by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
from fastapi import Request
from starlette.responses import Response

from app.api.body import Body, receive_body
from app.api.caller import principal_of
from app.api.cancel_on_disconnect import cancel_on_disconnect
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.lifecycle import Lifecycle
from app.api.requests import ToolArguments
from app.api.schemas import ToolAnswer, ToolDescription
from app.ids import new_id
from app.limits.limiter import TOOLS, Limiter
from app.messages import ToolCall
from app.redaction.redactor import Redactor
from app.telemetry.traces import Tracing
from app.tools import call as tool_calls
from app.tools.context import ToolContext
from app.tools.registry import Registry

TOOL_PROBLEMS = documented(404, 413, 415, 422, 429, 500, 503)


def routes(
    api: Api,
    tools: Registry,
    limiter: Limiter,
    lifecycle: Lifecycle,
    tracing: Tracing,
    redactor: Redactor | None = None,
) -> None:
    read = Body(ToolArguments).read
    listing = msgspec.json.encode(
        [ToolDescription(tool.name, tool.description, dict(tool.parameters), tool.risk) for tool in tools.values()]
    )

    @api.get("/api/tools", tags=["tools"], response_model=list[ToolDescription], responses=documented(429))
    async def list_tools(request: Request) -> Response:
        async with limiter.slot(principal_of(request), TOOLS) as headers:
            return Response(listing, headers=headers, media_type="application/json")

    @api.fast_post(
        "/api/tools/{name}", body=ToolArguments, tags=["tools"], response_model=ToolAnswer, responses=TOOL_PROBLEMS
    )
    async def call_tool(request: Request, name: str) -> Response:
        """The body is the tool's arguments. A tool that fails answers 200 with `success` false and the reason in
        `error`, as the model would see it."""
        body = read(await receive_body(request.receive))
        principal = principal_of(request)
        principal.require_tool(name)
        known = tools.subset((name,))
        headers: dict[str, str] = {}

        @asynccontextmanager
        async def slot(tool: str) -> AsyncIterator[None]:
            async with limiter.slot(principal, f"tool:{tool}") as standing:
                headers.update(standing)
                yield

        call = ToolCall(new_id(), name, body.root)
        context = ToolContext(principal, run_id=call.id)
        calling = tool_calls.call_tool(known, context, call, slot=slot, tracing=tracing, redactor=redactor)
        result = await cancel_on_disconnect(calling, request, lifecycle)
        answer = ToolAnswer(result.status == "ok", result.result, result.error)
        return json_answer(answer, headers)
