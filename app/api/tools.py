"""`/api/tools`: what the agent can do, and doing one of it by hand."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from fastapi import Request
from msgspec.structs import replace
from starlette.responses import Response

from app.agents.by_hand import askable, tools_of, why_not_by_hand
from app.agents.definition import Agent
from app.api.body import Body, receive_body
from app.api.caller import principal_of
from app.api.cancel_on_disconnect import cancel_on_disconnect
from app.api.failures import documented
from app.api.framework import Api
from app.api.json_answer import json_answer
from app.api.lifecycle import Lifecycle
from app.api.requests import ToolArguments
from app.api.schemas import ToolAnswer, ToolDescription
from app.audit.audit import NO_AUDIT, Audit
from app.errors import Forbidden, NotFound
from app.ids import new_id
from app.limits.limiter import TOOLS, Limiter
from app.messages import ToolCall
from app.redaction.redactor import Redactor, cleaned
from app.telemetry.traces import Tracing
from app.tools import call as tool_calls
from app.tools.context import ToolContext
from app.tools.on_record import call_unknown, entry_of_call
from app.tools.registry import Registry
from app.tools.tool import Tool

TOOL_PROBLEMS = documented(403, 404, 413, 415, 422, 429, 500, 503)


def routes(
    api: Api,
    tools: Registry,
    agents: Mapping[str, Agent],
    limiter: Limiter,
    lifecycle: Lifecycle,
    tracing: Tracing,
    audit: Audit = NO_AUDIT,
    redactor: Redactor | None = None,
) -> None:
    read = Body(ToolArguments).read

    @api.get("/api/tools", tags=["tools"], response_model=list[ToolDescription], responses=documented(429))
    async def list_tools(request: Request) -> Response:
        """Those of the agents that the caller may ask."""
        principal = principal_of(request)
        async with limiter.slot(principal, TOOLS) as headers:
            return json_answer([_described(tools[name]) for name in tools_of(askable(agents, principal))], headers)

    @api.fast_post(
        "/api/tools/{name}", body=ToolArguments, tags=["tools"], response_model=ToolAnswer, responses=TOOL_PROBLEMS
    )
    async def call_tool(request: Request, name: str) -> Response:
        """The body is the tool's arguments. A tool that fails answers 200 with `success` false and the reason in
        `error`, as the model would see it. A tool that needs a person's approval is called by runs only: 403."""
        body = read(await receive_body(request.receive))
        principal = principal_of(request)
        principal.require_tool(name)
        having = [agent for agent in askable(agents, principal) if name in agent.tools]
        call = ToolCall(new_id(), name, body.root)
        context = ToolContext(principal, run_id=call.id)
        if not having:
            audit.note(replace(call_unknown(context, call), run_id=""))  # of no run: see audit/repeats.py
            raise NotFound(f"There is no tool called {name[:64]!r}.")
        known = tools.subset((name,))
        headers: dict[str, str] = {}

        @asynccontextmanager
        async def slot(tool: str) -> AsyncIterator[None]:
            async with limiter.slot(principal, f"tool:{tool}") as standing:
                headers.update(standing)
                yield

        if why := why_not_by_hand(known[name], body.root, having):
            refused = replace(entry_of_call(context, call, name), decision="refused", why="needs_approval", run_id="")
            audit.note(refused)
            raise Forbidden(f"{why} So it is not called by hand: ask an agent that has it, in a run that can wait.")
        calling = tool_calls.call_tool(known, context, call, slot=slot, tracing=tracing, audit=audit, redactor=redactor)
        result = await cancel_on_disconnect(calling, request, lifecycle)
        shown, error = cleaned(redactor, result.result), cleaned(redactor, result.error)
        answer = ToolAnswer(result.status == "ok", shown, error)
        return json_answer(answer, headers)


def _described(tool: Tool) -> ToolDescription:
    return ToolDescription(tool.name, tool.description, dict(tool.parameters), tool.risk, tool.effect)
