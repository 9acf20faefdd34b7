"""One run from its admission to its last event: admit and recall, answer, settle and remember."""

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

from opentelemetry.trace import Span

from app.agent.definition import Agent, RunLimits
from app.agent.history import trim
from app.agent.loop import Loop, Progress
from app.agent.suggestions import Ran, suggest
from app.agent.toolset import Toolset
from app.errors import AppError, DeadlineExceeded, InternalError, StateUnavailable
from app.events import Answer, RunFailed, RunFinished, RunStarted, Suggestion
from app.limits.claim import Claim
from app.limits.limiter import Limiter
from app.limits.principal import Principal
from app.messages import Message, Turn, UserMessage
from app.models.build import Models, PricedModel
from app.run import Run, RunRequest
from app.settings import Settings
from app.state.sessions import Sessions
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.logs import log
from app.telemetry.traces import Tracing, fail


@dataclass(frozen=True, slots=True)
class Services:
    """What all runs of a process share."""

    settings: Settings
    models: Models
    sessions: Sessions
    limiter: Limiter
    tracing: Tracing


@dataclass(slots=True)
class Execution:
    """`execute` is called once."""

    services: Services
    principal: Principal
    request: RunRequest
    model: PricedModel
    agent: Agent
    tools: Toolset
    limits: RunLimits
    claim: Claim
    session_id: str
    message_id: str
    started: float = field(default_factory=time.perf_counter)
    progress: Progress = field(default_factory=Progress)
    degraded: list[str] = field(default_factory=list)

    async def execute(self, run: Run) -> None:
        """Emit the run's events to `run`; what it used is settled however it ends."""
        limiter = self.services.limiter
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
                await limiter.settle(self.claim)
                self._report_failure(run, span, error)
            except asyncio.CancelledError:
                limiter.leases.settle_later(self.claim)
                self._log_end("agent.request.failed", error=run.failed_by.slug if run.failed_by else "cancelled")
                raise
            except Exception:  # the client sees the request id, the log has the stack
                log.exception("agent.request.crashed")
                limiter.leases.settle_later(self.claim)
                self._report_failure(run, span, InternalError("Something went wrong on our side."))

    async def _answer(self, run: Run, span: Span) -> Answer:
        question = UserMessage(self.request.message)
        headers, history = await self._admit_and_recall(run)
        request_id, trace_id, _ = current.get()
        run.emit(RunStarted(self.session_id, self.message_id, self.model.model.ref, request_id, trace_id, headers))
        log.info(
            "agent.request.start",
            user=self.principal.user,
            session_id=self.session_id,
            **self._content(self.request.message),
        )
        await self._loop(run, [*history, question])
        await self._settle_and_remember(question)
        progress, latency_ms = self.progress, self._latency_ms()
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
            degraded=tuple(self.degraded),
            tool_calls=tuple(progress.tool_calls),
            iterations=progress.iterations,
            suggestions=self._suggestions(history),
        )

    async def _admit_and_recall(self, run: Run) -> tuple[Mapping[str, str], list[Message]]:
        """In one round trip to the store."""
        turns = None
        if self.request.session_id is not None:
            turns = self.services.sessions.load(self.principal.user, self.session_id)
        try:
            headers = await self.services.limiter.admit(self.claim, run.fail)
        except BaseException:
            if turns is not None:
                turns.close()
            raise
        if self.claim.degraded:
            self.degraded.append("limits")
        try:
            return headers, [] if turns is None else trim(await turns, self.services.settings.history_max_tokens)
        except StateUnavailable as error:
            self._degrade(error)
            return headers, []

    async def _loop(self, run: Run, conversation: list[Message]) -> None:
        loop = Loop(
            tracing=self.services.tracing,
            agent=self.agent,
            model=self.model,
            tools=self.tools,
            limits=self.limits,
            stream=self.request.stream,
            emit=run.emit,
            claim=self.claim,
            settle=partial(self.services.limiter.settle, self.claim, over=False),
            tool_turn=partial(self.services.limiter.tool_turn, self.principal),
        )
        seconds = self.services.settings.run_timeout_seconds
        try:
            async with asyncio.timeout(seconds) as deadline:
                await loop.run(conversation, self.progress)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(f"The run did not finish within {seconds:g} s. Ask for less at once.") from None

    async def _settle_and_remember(self, question: UserMessage) -> None:
        """In one round trip to the store."""
        turn = Turn(self.message_id, time.time(), (question, *self.progress.messages))
        sessions, principal = self.services.sessions, self.principal
        appended = sessions.append(principal.user, self.session_id, turn, address=principal.address)
        try:
            await self.services.limiter.settle(self.claim)
        except BaseException:
            appended.close()
            raise
        try:
            await appended
        except StateUnavailable as error:
            self._degrade(error)

    def _degrade(self, error: StateUnavailable) -> None:
        if "sessions" not in self.degraded:
            self.degraded.append("sessions")
            log.warning("state.unavailable", error=repr(error.__cause__))

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
