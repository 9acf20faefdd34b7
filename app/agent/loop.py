"""The agent loop: the model asks for tools, they run, their results go back, until it answers or a limit ends it."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter

from msgspec import Struct
from opentelemetry.trace import Span

from app.agent.definition import Agent, RunLimits
from app.agent.model_call import Reply, call_model
from app.agent.ration import Rations, Settle
from app.agent.toolset import Toolset
from app.agent.worst_case import most_input_tokens
from app.errors import LimitsUnavailable, RateLimited, RequestTooExpensive
from app.events import Event, FinishReason, ToolCallRecord, ToolFinished, ToolStarted, Usage
from app.limits.allowance import Growth
from app.limits.claim import Claim
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage
from app.models.build import PricedModel
from app.models.protocol import ModelRequest
from app.telemetry.traces import Tracing
from app.tools.executor import ToolResult, execute

Emit = Callable[[Event], None]


@dataclass(slots=True)
class Progress:
    """What a run has come to so far. It outlives a loop that fails, so that what was used is known even then."""

    messages: list[Message] = field(default_factory=list)  # the turn's, after the user's
    text: str = ""  # of the last model call
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    cost_usd: float = 0.0
    reasoning_tokens: int = 0
    tool_calls: list[ToolCallRecord] = field(default_factory=list)
    iterations: int = 0
    outside_seconds: float = 0.0  # spent in models and tools


class Loop(Struct, frozen=True):
    """One run's way through the loop; `run` is called once."""

    tracing: Tracing
    agent: Agent
    model: PricedModel
    tools: Toolset
    limits: RunLimits
    stream: bool
    emit: Emit
    claim: Claim
    settle: Settle
    """Called between model calls; what the run has used by then is recorded, and what the next may use reserved."""
    tool_turn: Callable[[str], AbstractAsyncContextManager[object]] = nullcontext
    """Entered around each call of a tool, by its name. Raises RateLimited when it is called too often."""

    async def run(self, conversation: Sequence[Message], progress: Progress) -> None:
        """Answer the conversation, whose last message is the user's.

        Raises what a model call raises, and RequestTooExpensive if not even the first may be made.
        """
        rations = Rations(self.model.price, self.limits, self.claim, self.settle)
        while True:
            progress.iterations += 1
            with self.tracing.span("agent.iteration", {"agent.iteration.index": progress.iterations}):
                started = perf_counter()
                try:
                    finished = await self._iterate(conversation, progress, rations)
                finally:
                    progress.outside_seconds += perf_counter() - started
            if finished is not None:
                progress.finish_reason = finished
                return

    async def _iterate(
        self, conversation: Sequence[Message], progress: Progress, rations: Rations
    ) -> FinishReason | None:
        messages = [*conversation, *progress.messages]
        read = most_input_tokens(self.agent.system_prompt, messages, self.tools.most_tokens)
        answered = self._answered(progress)
        ration = await rations.of_call(read, answered, progress.reasoning_tokens, first=progress.iterations == 1)
        if ration.answer < 1:
            return self._give_up(ration.bound, progress)

        def used(usage: Usage, cost_usd: float, *, uncertain: bool) -> None:
            progress.usage += usage
            progress.cost_usd += cost_usd
            self.claim.record(self.model.model.ref, usage, cost_usd, uncertain=uncertain)

        request = ModelRequest(
            self.agent.system_prompt, messages, self.tools.specs, ration.answer, self.stream, ration.reasoning
        )
        reply = await call_model(self.tracing, self.model, request, self.emit, used)
        progress.text = reply.text
        progress.reasoning_tokens += reply.reasoning_tokens
        finished = self._finish_reason(reply, progress)
        if finished is not None:
            progress.messages.append(AssistantMessage(reply.text))
            cut_short = ration.answer < self.limits.max_tokens - answered
            return ration.bound if finished == "max_tokens" and cut_short else finished
        message = AssistantMessage(reply.text, reply.tool_calls)
        growth = rations.between(message, self._answered(progress), progress.reasoning_tokens)
        results = await self._call_tools_and_settle(reply.tool_calls, progress, growth)
        progress.messages.append(message)
        progress.messages.extend(results)
        return None

    def _answered(self, progress: Progress) -> int:
        return self.limits.answered(progress.usage.output_tokens, progress.reasoning_tokens)

    def _give_up(self, bound: FinishReason, progress: Progress) -> FinishReason:
        progress.iterations -= 1
        if progress.iterations == 0:
            what = "cost more" if bound == "max_cost" else "take more tokens"
            raise RequestTooExpensive(f"The request may {what} than a single run may. Send less at once.")
        progress.messages.append(AssistantMessage(progress.text))
        return bound

    def _finish_reason(self, reply: Reply, progress: Progress) -> FinishReason | None:
        if reply.stop_reason in ("max_tokens", "refusal", "content_filter"):
            return reply.stop_reason
        if not reply.tool_calls:
            return "stop"
        if progress.iterations >= self.limits.max_iterations:
            return "max_iterations"
        if self._answered(progress) >= self.limits.max_tokens:
            return "max_tokens"
        if progress.cost_usd >= self.limits.max_cost_usd:
            return "max_cost"
        return None

    async def _call_tools_and_settle(
        self, calls: Sequence[ToolCall], progress: Progress, growth: Growth | None
    ) -> list[ToolMessage]:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.settle(growth))
            tasks = [group.create_task(self._call_tool(call, progress)) for call in calls]
        return [task.result() for task in tasks]

    async def _call_tool(self, call: ToolCall, progress: Progress) -> ToolMessage:
        attributes = {
            "gen_ai.operation.name": "execute_tool",
            "gen_ai.tool.name": call.name,
            "gen_ai.tool.call.id": call.id,
            "gen_ai.tool.type": "function",
        }
        self.emit(ToolStarted(call.id, call.name, call.arguments))
        with self.tracing.span(f"execute_tool {call.name}", attributes) as span:
            result = await self._execute(call)
            _mark(span, result)
        self.emit(ToolFinished(call.id, call.name, result.status, result.latency_ms))
        progress.tool_calls.append(ToolCallRecord(call.name, call.arguments, result.status, result.latency_ms))
        return ToolMessage(call.id, call.name, result.content, is_error=result.status != "ok")

    async def _execute(self, call: ToolCall) -> ToolResult:
        registry = self.tools.registry
        if call.name not in registry:
            return await execute(registry, call)
        try:
            async with self.tool_turn(call.name):
                return await execute(registry, call)
        except (RateLimited, LimitsUnavailable) as error:  # the model is told, and goes on without it
            return ToolResult(error.detail, "error", 0.0, error.detail)


def _mark(span: Span, result: ToolResult) -> None:
    if result.status != "ok":
        span.set_attribute("error.type", result.status)
