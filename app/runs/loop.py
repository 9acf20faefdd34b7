"""The agent loop: the model asks for tools, they run, their results go back, until it answers or a limit ends it."""

from collections.abc import Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from time import perf_counter
from typing import Any

from msgspec import Struct

from app.agents.definition import Agent, RunLimits
from app.errors import ContextTooLong, ModelUnavailable, RequestTooExpensive
from app.limits.reservation import Reservation
from app.messages import AssistantMessage, Message, Usage
from app.models.catalog import PricedModel
from app.models.protocol import ModelRequest
from app.runs.estimates import most_input_tokens
from app.runs.events import Event, FinishReason, Token
from app.runs.model_call import Reply, call_model
from app.runs.progress import Progress
from app.runs.ration import Ration, Rations, Settle
from app.runs.shortening import shorten_results
from app.runs.tool_batch import ToolBatch
from app.runs.toolset import Toolset
from app.runs.valid_calls import used_ids, valid_calls
from app.runs.window import within_window
from app.telemetry.traces import Tracing

Emit = Callable[[Event], None]

ANSWER_NOW = "No more tools can be called. Answer now, with what you have."
"""Told to a model that has one call left, or said nothing."""


def _nothing_less() -> None:
    return None


class Loop(Struct, frozen=True):
    """One run's way through the loop; `run` is called once."""

    tracing: Tracing
    agent: Agent
    model: PricedModel
    tools: Toolset
    limits: RunLimits
    stream: bool
    emit: Emit
    reservation: Reservation
    settle: Settle
    """Called between model calls; what the run has used by then is recorded, and what the next may use reserved."""
    tool_turn: Callable[[str], AbstractAsyncContextManager[object]] = nullcontext
    """Entered around each call of a tool, by its name. Raises RateLimited when it is called too often."""
    recall_less: Callable[[], Sequence[Message] | None] = _nothing_less
    """Called when the conversation is too long for the model: one with less history, or None."""
    shown_chars: int = 0
    """Of tools' results, to callers."""

    async def run(self, conversation: Sequence[Message], progress: Progress) -> None:
        """Answer the conversation, whose last message is the user's.

        Raises what a model call raises, and RequestTooExpensive if not even the first may be made.
        """
        progress.conversation = conversation
        rations = Rations(self.model.price, self.limits, self.reservation, self.settle)
        while True:
            progress.iterations += 1
            with self.tracing.span("agent.iteration", {"agent.iteration.index": progress.iterations}):
                started = perf_counter()
                try:
                    finished = await self._iterate(progress, rations)
                finally:
                    progress.outside_seconds += perf_counter() - started
            if finished is not None:
                progress.finish_reason = finished
                return

    async def _iterate(self, progress: Progress, rations: Rations) -> FinishReason | None:
        last = progress.answer_now or progress.iterations >= self.limits.max_iterations
        answered = self._answered(progress)
        messages = progress.all_messages()
        read = most_input_tokens(self._system(progress, last), messages, self.tools.most_tokens)
        used_so_far = (read, answered, progress.reasoning_tokens)
        ration = rations.of_call(*used_so_far) or await rations.grown(*used_so_far, first=progress.iterations == 1)
        if ration.answer < 1:
            return self._give_up(ration.bound, progress)
        try:
            reply = await self._call_model(progress, messages, ration, last)
        except ContextTooLong:
            if progress.pieces or not self._shrink(progress):
                raise
            reply = await self._call_model(progress, progress.all_messages(), ration, last)
        progress.reasoning_tokens += reply.reasoning_tokens
        finished = self._finish_reason(reply, progress, last)
        if finished is None:
            await self._call_tools(reply, progress, rations)
        elif finished == "stop" and not reply.text.strip():
            self._insist(progress)
            return None
        else:
            cut_short = ration.answer < self.limits.max_tokens - answered
            finished = ration.bound if finished == "max_tokens" and cut_short else finished
            self._end(reply, finished, progress)
        return finished

    def _call_model(
        self, progress: Progress, messages: Sequence[Message], ration: Ration, last: bool
    ) -> Coroutine[Any, Any, Reply]:
        system, model = self._system(progress, last), self.model.model
        answer, reasoning = ration.answer, ration.reasoning
        if model.context_window is not None:
            answer, reasoning = within_window(
                model.context_window, answer, reasoning, system, messages, self.tools.most_tokens
            )
        progress.pieces.clear()

        def used(usage: Usage, cost_usd: float, *, uncertain: bool) -> None:
            progress.usage += usage
            progress.cost_usd += cost_usd
            self.reservation.record(model.ref, usage, cost_usd, uncertain=uncertain)

        tools = () if last else self.tools.specs
        request = ModelRequest(system, messages, tools, answer, self.stream, reasoning)
        return call_model(self.tracing, self.model, request, self.emit, used, progress.pieces)

    def _system(self, progress: Progress, last: bool) -> str:
        if not last or not (progress.messages or progress.answer_now):
            return self.agent.system_prompt
        return f"{self.agent.system_prompt}\n\n{ANSWER_NOW}".lstrip()

    def _shrink(self, progress: Progress) -> bool:
        conversation = self.recall_less()
        results = shorten_results(progress.messages)
        if conversation is not None:
            progress.conversation = conversation
        if results is not None:
            progress.messages, progress.results_shortened = results, True
        return conversation is not None or results is not None

    def _answered(self, progress: Progress) -> int:
        return self.limits.answered(progress.usage.output_tokens, progress.reasoning_tokens)

    def _finish_reason(self, reply: Reply, progress: Progress, last: bool) -> FinishReason | None:
        if reply.stop_reason in ("max_tokens", "refusal", "content_filter"):
            return reply.stop_reason
        if last and not progress.answer_now and (reply.tool_calls or progress.messages):
            return "max_iterations"
        if last or not reply.tool_calls:
            return "stop"
        if self._answered(progress) >= self.limits.max_tokens:
            return "max_tokens"
        if progress.cost_usd >= self.limits.max_cost_usd:
            return "max_cost"
        return None

    def _insist(self, progress: Progress) -> None:
        """Ask a model that has said nothing once more. Raises ModelUnavailable where that was done, or cannot be."""
        if progress.answer_now or progress.iterations >= self.limits.max_iterations:
            raise ModelUnavailable("The model gave an empty answer. Try again.", reason="broken_answer")
        progress.answer_now = True

    def _give_up(self, bound: FinishReason, progress: Progress) -> FinishReason:
        progress.iterations -= 1
        if progress.iterations == 0:
            what = "cost more" if bound == "max_cost" else "take more tokens"
            raise RequestTooExpensive(f"The request may {what} than a single run may. Send less at once.")
        self._end(None, bound, progress)
        return bound

    def _end(self, reply: Reply | None, reason: FinishReason, progress: Progress) -> None:
        """The run's answer, which is never empty in silence: where a limit left none, that is said."""
        progress.text = text = progress.text if reply is None else reply.text
        limited = reason in ("max_tokens", "max_cost") or (reason == "max_iterations" and not text.strip())
        if limited and not text.strip():
            progress.text = text = f"[There is no answer: the run came to a limit first ({reason}).]"
            self.emit(Token(text))
        progress.messages.append(AssistantMessage(text, (), None if reply is None else reply.extras, limited))
        progress.pieces.clear()

    async def _call_tools(self, reply: Reply, progress: Progress, rations: Rations) -> None:
        used = used_ids(progress.all_messages())
        calls, extras = valid_calls(reply.tool_calls, reply.extras, self.tools.registry, used)
        message = AssistantMessage(reply.text, calls, extras)
        progress.text = reply.text
        progress.messages.append(message)
        progress.pieces.clear()
        growth = rations.between(message, self._answered(progress), progress.reasoning_tokens)
        batch = ToolBatch(self.tracing, self.tools.registry, self.emit, self.tool_turn, self.shown_chars)
        await batch.run(calls, progress, self.settle(growth))
