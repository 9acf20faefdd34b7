"""A tool call from the model's wish to a result it can read, within bounds and whatever the tool does."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.messages import ToolCall
from app.telemetry.logs import log
from app.telemetry.metrics import TOOL_CALLS, TOOL_LATENCY
from app.tools.invocation import Outcome, ToolStatus, invoke
from app.tools.output import clean
from app.tools.registry import Registry
from app.tools.tool import Tool

GRACE_SECONDS = 0.5
"""How long a cancelled tool may take to clean up before it is left to itself."""

_abandoned: set[asyncio.Task[Any]] = set()
"""Tools that have not yet obeyed their cancellation. The event loop itself holds tasks only weakly."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """`content` is for the model, `result` is the JSON value behind it (None after an error).

    `error` is what went wrong: the content again, None when all went well.
    """

    content: str
    status: ToolStatus
    latency_ms: float
    error: str | None = None
    result: Any = None


async def execute(registry: Registry, call: ToolCall) -> ToolResult:
    """Run the call and return what came of it, never raising because of the tool.

    A cancelled caller gets its CancelledError once the tool has stopped, at most GRACE_SECONDS later. A tool
    that blocks the event loop cannot be interrupted: see `tool`.
    """
    start = time.perf_counter()
    tool = registry.get(call.name)
    if tool is None:
        outcome = _unknown(registry, call.name)
    elif call.malformed:
        outcome = _malformed(tool)
    else:
        outcome = await _bounded(tool, call.arguments)
    seconds = time.perf_counter() - start
    label = "unknown" if tool is None else tool.name
    TOOL_CALLS.labels(label, outcome.status).inc()
    if tool is not None:
        TOOL_LATENCY.labels(label).observe(seconds)
    result = ToolResult(
        content=outcome.content,
        status=outcome.status,
        latency_ms=round(seconds * 1000, 3),
        error=None if outcome.status == "ok" else outcome.content,
        result=outcome.result,
    )
    _log(clean(call.name[:64]), outcome, result.latency_ms)
    return result


async def _bounded(tool: Tool, arguments: Mapping[str, Any]) -> Outcome:
    # A task of its own, because a tool that swallows its cancellation would otherwise hold the run for ever.
    task = asyncio.create_task(invoke(tool, arguments), name=f"tool {tool.name}")
    try:
        done, _ = await asyncio.wait((task,), timeout=tool.timeout_seconds)
    except asyncio.CancelledError:
        await _stop(task, tool)
        raise
    if done:
        return task.result()
    await _stop(task, tool)
    message = f"The tool gave no result within {tool.timeout_seconds:g} seconds and was stopped."
    return Outcome("timeout", message, fault="timeout")


async def _stop(task: asyncio.Task[Outcome], tool: Tool) -> None:
    task.cancel()
    _abandoned.add(task)
    task.add_done_callback(_gone)
    await asyncio.wait((task,), timeout=GRACE_SECONDS)
    if not task.done():
        log.error("tool_abandoned", tool=tool.name, abandoned=len(_abandoned))


def _gone(task: asyncio.Task[Outcome]) -> None:
    _abandoned.discard(task)
    if not task.cancelled():
        task.exception()  # looked at, or asyncio reports it as never retrieved


def _unknown(registry: Registry, name: str) -> Outcome:
    known = ", ".join(sorted(registry)) or "none"
    message = f"There is no tool called {name[:64]!r}. Tools there are: {known}."
    return Outcome("error", message, fault="unknown_tool")


def _malformed(tool: Tool) -> Outcome:
    message = f"The arguments for {tool.name} are not a JSON object. Call it again with one."
    return Outcome("error", message, fault="malformed_arguments")


def _log(name: str, outcome: Outcome, latency_ms: float) -> None:
    """Without the message, which may quote what a user wrote; only a tool's own defect leaves a stack."""
    fields = {
        "tool": name,
        "latency_ms": latency_ms,
        "success": outcome.status == "ok",
        "error": outcome.fault,
    }
    if outcome.status == "ok":
        log.info("tool_call", **fields)
    else:
        log.warning("tool_call", **fields, exc_info=outcome.cause)
