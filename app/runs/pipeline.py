"""One run from its admission to its last event: admit and recall, answer, settle and remember."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from msgspec import Struct, field
from opentelemetry.trace import Span

from app.access.principal import Principal
from app.agents.definition import Agent, RunLimits
from app.errors import (
    AppError,
    BudgetExceeded,
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    RateLimited,
    StateUnavailable,
)
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.messages import Message
from app.models.catalog import Models, PricedModel
from app.runs.events import Answer, RunFailed, RunFinished, RunStarted, Suggestion
from app.runs.handle import Run, RunRequest
from app.runs.loop import Loop
from app.runs.memory import Memory
from app.runs.progress import Progress
from app.runs.suggestions import Ran, suggest
from app.runs.toolset import Toolset
from app.settings import Settings
from app.state.sessions import Sessions
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.logs import log
from app.telemetry.traces import Tracing, fail

_REFUSALS = (InvalidRequest, RateLimited, BudgetExceeded)


@dataclass(frozen=True, slots=True)
class Services:
    """What all runs of a process share."""

    settings: Settings
    models: Models
    sessions: Sessions
    limiter: Limiter
    tracing: Tracing


class Execution(Struct):
    """`execute` is called once."""

    services: Services
    principal: Principal
    request: RunRequest
    model: PricedModel
    agent: Agent
    tools: Toolset
    limits: RunLimits
    reservation: Reservation
    memory: Memory
    session_id: str
    message_id: str
    started: float = field(default_factory=time.perf_counter)
    progress: Progress = field(default_factory=Progress)
    admitted: bool = False
    kept: bool = False

    async def execute(self, run: Run) -> None:
        """Emit the run's events to `run`; what it used is settled, and what was said kept, however it ends."""
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": self.agent.name,
            "gen_ai.provider.name": self.model.model.provider,
            "gen_ai.request.model": self.model.model.name,
            "gen_ai.conversation.id": self.session_id,
        }
        with self.services.tracing.span(f"invoke_agent {self.agent.name}", attributes) as span:
            try:
                run.emit(RunFinished(await self._answer(run, span)))
            except AppError as error:
                await self._settle_and_remember(self._interrupted(error))
                self._report_failure(run, span, error)
            except asyncio.CancelledError:
                self._end_later()
                self._log_end("agent.request.failed", error=run.failed_by.slug if run.failed_by else "cancelled")
                raise
            except Exception:  # the client sees the request id, the log has the stack
                log.exception("agent.request.crashed")
                self._end_later()
                self._report_failure(run, span, InternalError("Something went wrong on our side."))

    async def _answer(self, run: Run, span: Span) -> Answer:
        headers = await self._admit_and_recall(run)
        request_id, trace_id, _ = current.get()
        run.emit(RunStarted(self.session_id, self.message_id, self.model.model.ref, request_id, trace_id, headers))
        log.info(
            "agent.request.start",
            user=self.principal.user,
            session_id=self.session_id,
            **self._content(self.request.message),
        )
        await self._loop(run)
        await self._settle_and_remember([] if self.progress.refused else self.progress.messages)
        progress, degraded, latency_ms = self.progress, self.memory.degraded, self._latency_ms()
        metrics.OVERHEAD.observe(max(latency_ms / 1000 - progress.outside_seconds, 0.0))
        self._log_end("agent.request.success", **self._content(progress.text))
        if span.is_recording():
            span.set_attributes(
                {
                    "gen_ai.usage.input_tokens": progress.usage.input_tokens,
                    "gen_ai.usage.output_tokens": progress.usage.output_tokens,
                    "agent.cost_usd": progress.cost_usd,
                    "agent.finish_reason": progress.finish_reason,
                }
            )
        return Answer(
            answer=progress.text,
            session_id=self.session_id,
            message_id=self.message_id,
            model=self.model.model.ref,
            finish_reason=progress.finish_reason,
            usage=progress.usage,
            tokens_used=progress.usage.total,
            cost_usd=progress.cost_usd,
            latency_ms=latency_ms,
            trace_id=trace_id,
            request_id=request_id,
            degraded=(*degraded, "tool_results") if progress.results_shortened else tuple(degraded),
            tool_calls=tuple(progress.tool_calls),
            iterations=progress.iterations,
            suggestions=self._suggestions(self.memory.history),
        )

    async def _admit_and_recall(self, run: Run) -> Mapping[str, str]:
        """In one round trip to the store."""
        asked = None if self.request.session_id is None else self.memory.ask()
        try:
            headers = await self.services.limiter.reserve(self.reservation, run.fail)
        except BaseException:
            if asked is not None:
                asked.close()
            raise
        self.admitted = True
        if self.reservation.degraded:
            self.memory.degraded.append("limits")
        if asked is not None:
            try:
                recalled = await asked
            except StateUnavailable as error:
                self.memory.not_recalled(error)
            else:
                self.memory.recall(recalled, self.model.model, self.agent.system_prompt, self.tools.most_tokens)
        return headers

    async def _loop(self, run: Run) -> None:
        loop = Loop(
            tracing=self.services.tracing,
            agent=self.agent,
            model=self.model,
            tools=self.tools,
            limits=self.limits,
            stream=self.request.stream,
            emit=run.emit,
            reservation=self.reservation,
            settle=partial(self.services.limiter.settle, self.reservation, over=False),
            tool_turn=partial(self.services.limiter.tool_slot, self.principal),
            recall_less=partial(self.memory.recall_less, self.model.model.ref),
            shown_chars=self.services.settings.tool_result_chars,
        )
        seconds = self.services.settings.run_timeout_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                await loop.run(self.memory.conversation, self.progress)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(f"The run did not finish within {seconds:g} s. Ask for less at once.") from None

    async def _settle_and_remember(self, messages: Sequence[Message]) -> None:
        """In one round trip to the store. Without messages there is no turn to keep."""
        self.kept = True
        appended = self.memory.keep(messages) if messages else None
        try:
            await self.services.limiter.settle(self.reservation)
        except BaseException:
            if appended is not None:
                appended.close()
            raise
        if appended is not None:
            try:
                await appended
            except StateUnavailable as error:
                self.memory.not_kept(error)

    def _interrupted(self, error: AppError | None = None) -> list[Message]:
        """The messages of a run that failed or was cancelled; none where there was no run, or it was refused."""
        progress = self.progress
        refused = progress.refused or (isinstance(error, _REFUSALS) and not (progress.messages or progress.pieces))
        return progress.interrupted() if self.admitted and not (self.kept or refused) else []

    def _end_later(self) -> None:
        """In the background: a run that was cancelled waits for nothing."""
        self.services.limiter.settle_later(self.reservation)
        if messages := self._interrupted():
            self.memory.keep_later(messages)

    def _suggestions(self, history: Sequence[Message]) -> tuple[Suggestion, ...]:
        if not self.request.suggestions:
            return ()
        return suggest(Ran(self.progress, history, self.model, self.services.models, self.tools.registry))

    def _report_failure(self, run: Run, span: Span, error: AppError) -> None:
        if span.is_recording():
            fail(span, error)
        self._log_end("agent.request.failed", error=error.slug)
        run.emit(RunFailed(error))

    def _log_end(self, event: str, **fields: object) -> None:
        progress = self.progress
        log.info(
            event,
            user=self.principal.user,
            session_id=self.session_id,
            model=self.model.model.ref,
            iterations=progress.iterations,
            tokens=progress.usage.total,
            cost_usd=progress.cost_usd,
            latency_ms=self._latency_ms(),
            **fields,
        )

    def _latency_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 2)

    def _content(self, text: str) -> dict[str, str]:
        return {"content": text} if self.services.settings.log_content else {}
