"""The tool calls of one answer: they run together, and what comes of each is told to the model and to callers."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from msgspec import Struct
from opentelemetry.trace import Span

from app.errors import LimitsUnavailable, RateLimited
from app.messages import ToolCall, ToolMessage
from app.runs.events import Event, ToolCallRecord, ToolFinished, ToolStarted
from app.runs.progress import Progress
from app.telemetry.traces import Tracing
from app.tools.executor import ToolResult, execute
from app.tools.output import cut
from app.tools.registry import Registry


class ToolBatch(Struct, frozen=True):
    """Calls a run's tools."""

    tracing: Tracing
    registry: Registry
    emit: Callable[[Event], None]
    turn: Callable[[str], AbstractAsyncContextManager[object]]
    """Entered around each call of a tool, by its name. Raises RateLimited when it is called too often."""
    shown_chars: int
    """Of a result, to callers; 0: none."""

    async def run(self, calls: Sequence[ToolCall], progress: Progress, beside: Coroutine[Any, Any, None]) -> None:
        """Call them all; `beside` goes on meanwhile. Results that are there when it is cancelled are kept."""
        tasks: list[asyncio.Task[ToolMessage]] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(beside)
                tasks += [group.create_task(self._call(call, progress)) for call in calls]
        finally:
            progress.messages += [task.result() for task in tasks if _succeeded(task)]

    async def _call(self, call: ToolCall, progress: Progress) -> ToolMessage:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
        }
        self.emit(ToolStarted(call.id, call.name, call.arguments))
        with self.tracing.span(f"execute_tool {call.name}", attributes) as span:
            outcome = await self._execute(call)
            _mark(span, outcome)
        text = cut(outcome.content, self.shown_chars) if self.shown_chars else None
        result, error = (text, None) if outcome.status == "ok" else (None, text)
        self.emit(ToolFinished(call.id, call.name, outcome.status, outcome.latency_ms, result, error))
        progress.tool_calls.append(
            ToolCallRecord(call.name, call.arguments, outcome.status, outcome.latency_ms, result, error)
        )
        return ToolMessage(call.id, call.name, outcome.content, is_error=outcome.status != "ok")

    async def _execute(self, call: ToolCall) -> ToolResult:
        if call.name not in self.registry:
            return await execute(self.registry, call)
        try:
            async with self.turn(call.name):
                return await execute(self.registry, call)
        except (RateLimited, LimitsUnavailable) as error:  # the model is told, and goes on without it
            return ToolResult(error.detail, "error", 0.0, error.detail)


def _succeeded(task: asyncio.Task[ToolMessage]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None


def _mark(span: Span, result: ToolResult) -> None:
    if result.status != "ok":
        span.set_attribute("error.type", result.status)
