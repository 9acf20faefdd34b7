"""`call_tool`: the only way to a tool, with its span, limit, deadline, log line and metrics."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any

from msgspec.structs import replace
from opentelemetry.trace import INVALID_SPAN, Span

from app.audit.audit import NO_AUDIT, Audit
from app.messages import ToolCall
from app.redaction.redactor import Redactor
from app.telemetry import conventions
from app.telemetry.exemplars import exemplar
from app.telemetry.logs import log
from app.telemetry.metrics import TOOL_CALLS, TOOL_LATENCY
from app.telemetry.traces import Tracing
from app.tools.context import ToolContext
from app.tools.on_record import call_not_made, call_unknown, on_record
from app.tools.output import clean
from app.tools.registry import Registry
from app.tools.result import (
    MAX_NAME_CHARS,
    ToolResult,
    malformed,
    timed_out,
    unknown_tool,
)
from app.tools.running import run_tool
from app.tools.tool import Tool

GRACE_SECONDS = 0.5
"""How long a cancelled tool may take to clean up before it is left to itself."""

Slot = Callable[[str], AbstractAsyncContextManager[object]]
"""Entered around a call, with the tool's name. Raises RateLimited or LimitsUnavailable."""

abandoned: set[asyncio.Task[Any]] = set()
"""Tools that have not yet obeyed their cancellation. The event loop itself holds tasks only weakly."""


async def call_tool(
    tools: Registry,
    context: ToolContext,
    call: ToolCall,
    *,
    slot: Slot,
    tracing: Tracing,
    audit: Audit = NO_AUDIT,
    redactor: Redactor | None = None,
) -> ToolResult:
    """Run the call and return what came of it, never raising because of the tool.

    `context` is the run's; the tool is given a copy with the call's id, its own deadline and no sources yet.
    A cancelled caller gets its CancelledError once the tool has stopped, at most GRACE_SECONDS later. A tool
    that blocks the event loop cannot be interrupted: see `tool`. `redactor` takes secrets out of what the tool returns
    or raises, unless it is one that returns secrets.

    Raises what `slot` raises, and StateUnavailable where a call that does more than read cannot be put on record: such
    a call is not made, and neither logged nor counted.
    """
    with tracing.span(f"{conventions.EXECUTE_TOOL} {call.name}", _attributes, call) as span:
        tool = tools.get(call.name)
        if tool is None:
            result = unknown_tool(call.name, sorted(tools))
            audit.note(call_unknown(context, call))
        else:
            make = partial(_timed, tool, context, call, tracing, None if tool.secrets else redactor)
            async with slot(tool.name):
                result = await on_record(audit, tool, context, call, make)
        _report("unknown" if tool is None else tool.name, call.name, result, span)
        if tracing.content and span.is_recording():
            from app.telemetry.content import of_tool  # most processes never record content

            span.set_attributes(of_tool(call.arguments, result.content))
    return result if result.cause is None else replace(result, cause=None)


def not_made(context: ToolContext, call: ToolCall, result: ToolResult, audit: Audit = NO_AUDIT) -> ToolResult:
    """The result of a call of a tool there is, which is not made. It is counted, logged and put on record like any
    other."""
    audit.note(call_not_made(context, call, result))
    _report(call.name, call.name, result, INVALID_SPAN)
    return result


def _attributes(call: ToolCall) -> dict[str, str]:
    return {
        conventions.OPERATION: conventions.EXECUTE_TOOL,
        conventions.TOOL_NAME: call.name,
        conventions.TOOL_CALL_ID: call.id,
        conventions.TOOL_TYPE: "function",
    }


async def _timed(
    tool: Tool, context: ToolContext, call: ToolCall, tracing: Tracing, redactor: Redactor | None
) -> ToolResult:
    start = time.perf_counter()
    own = ToolContext(
        context.caller,
        context.run_id,
        call.id,
        min(context.deadline, asyncio.get_running_loop().time() + tool.timeout_seconds),
        propagation=tracing.propagation,
        iteration=context.iteration,
        arguments=call.arguments,
    )
    result = malformed(tool) if call.malformed else await _bounded(tool, call.arguments, own, redactor)
    seconds = time.perf_counter() - start
    TOOL_LATENCY.labels(tool.name).observe(seconds, exemplar())
    sources = tuple([str(source) for source in own.sources])
    handed_over = own.handed_over[0] if own.handed_over and result.status == "ok" else None
    return replace(result, latency_ms=round(seconds * 1000, 3), sources=sources, handed_over=handed_over)


async def _bounded(
    tool: Tool, arguments: Mapping[str, Any], context: ToolContext, redactor: Redactor | None
) -> ToolResult:
    # A task of its own, because a tool that swallows its cancellation would otherwise hold the run for ever.
    task = asyncio.create_task(run_tool(tool, arguments, context, redactor=redactor), name=f"tool {tool.name}")
    try:
        done, _ = await asyncio.wait((task,), timeout=tool.timeout_seconds)
    except asyncio.CancelledError:
        await _stop(task, tool)
        raise
    if done:
        return task.result()
    await _stop(task, tool)
    return timed_out(tool)


async def _stop(task: asyncio.Task[ToolResult], tool: Tool) -> None:
    task.cancel()
    abandoned.add(task)
    task.add_done_callback(_gone)
    await asyncio.wait((task,), timeout=GRACE_SECONDS)
    if not task.done():
        log.error("tool_abandoned", tool=tool.name, abandoned=len(abandoned))


def _gone(task: asyncio.Task[ToolResult]) -> None:
    abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, or asyncio reports it as never retrieved


def _report(label: str, name: str, result: ToolResult, span: Span) -> None:
    """Count and log the call, without its content; only a tool's own defect leaves a stack."""
    TOOL_CALLS.labels(label, result.status).inc(1, exemplar())
    fields = {
        "tool": clean(name[:MAX_NAME_CHARS]),
        "latency_ms": result.latency_ms,
        "success": result.status == "ok",
        "error": result.fault,
    }
    if result.status == "ok":
        log.info("tool_call", **fields)
    else:
        span.set_attribute(conventions.ERROR_TYPE, result.status)
        log.warning("tool_call", **fields, exc_info=result.cause)
