"""The tool calls of one answer: they run together, and what comes of each is told to the model and to callers."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from msgspec import Struct

from app.errors import LimitsUnavailable, RateLimited
from app.messages import ToolCall, ToolMessage
from app.runs.events import Event, ToolCallRecord, ToolFinished, ToolStarted
from app.runs.progress import Progress
from app.telemetry.traces import Tracing
from app.tools.call import Slot, call_tool
from app.tools.context import ToolContext
from app.tools.registry import Registry
from app.tools.result import ToolResult, refused


class ToolBatch(Struct, frozen=True):
    """Calls a run's tools."""

    tracing: Tracing
    registry: Registry
    context: ToolContext
    emit: Callable[[Event], None]
    slot: Slot
    shown_chars: int
    """Maximum length of a result that callers see; 0: they see none."""

    async def run(self, calls: Sequence[ToolCall], progress: Progress, beside: Coroutine[Any, Any, None]) -> None:
        """Call them all, and await `beside` meanwhile. Results that are there when it is cancelled are kept."""
        tasks: list[asyncio.Task[ToolMessage]] = []
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(beside)
                tasks += [group.create_task(self._call(call, progress)) for call in calls]
        finally:
            progress.messages += [task.result() for task in tasks if _succeeded(task)]

    async def _call(self, call: ToolCall, progress: Progress) -> ToolMessage:
        self.emit(ToolStarted(call.id, call.name, call.arguments))
        result = await self._result(call)
        told = (result.status, result.latency_ms, *result.shown(self.shown_chars))
        self.emit(ToolFinished(call.id, call.name, *told))
        progress.tool_calls.append(ToolCallRecord(call.name, call.arguments, *told))
        return ToolMessage(call.id, call.name, result.content, is_error=result.status != "ok")

    async def _result(self, call: ToolCall) -> ToolResult:
        try:
            return await call_tool(self.registry, self.context, call, slot=self.slot, tracing=self.tracing)
        except (RateLimited, LimitsUnavailable) as error:  # the model is told, and continues without the tool
            return refused(error)


def _succeeded(task: asyncio.Task[ToolMessage]) -> bool:
    return task.done() and not task.cancelled() and task.exception() is None
