"""A run from end to end: choose, admit and recall, answer, settle and remember."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import structlog
from opentelemetry.trace import Span

from app.agent.definition import Agent, RunLimits
from app.agent.history import trim
from app.agent.loop import Loop, Progress
from app.agent.suggestions import Ran, suggest
from app.agent.worst_case import most_history_tokens, most_input_tokens, most_of_call, most_of_run
from app.errors import AppError, DeadlineExceeded, InternalError, NotFound, ShuttingDown, StateUnavailable
from app.events import Answer, RunFailed, RunFinished, RunStarted, Suggestion
from app.limits.claim import Claim
from app.limits.limiter import CHAT, Limiter
from app.limits.principal import Principal
from app.messages import Message, Turn, UserMessage
from app.models.build import Models, PricedModel
from app.run import Emit, Run
from app.settings import Settings
from app.state.sessions import Sessions
from app.telemetry import metrics
from app.telemetry.context import current
from app.telemetry.traces import Tracing, fail
from app.tools.registry import Registry

log = structlog.get_logger()

DEFAULT_AGENT = "default"


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What a caller asks for. None stands for the setting's value, which is also the most that can be asked for."""

    message: str
    session_id: str | None = None
    model: str | None = None
    agent: str | None = None
    tools: tuple[str, ...] | None = None
    max_iterations: int | None = None
    max_cost_usd: float | None = None
    stream: bool = False
    suggestions: bool = False
    operation: str = CHAT  # what the caller's limits know it as


@dataclass(slots=True)
class _Work:
    """A run's state while it goes on."""

    principal: Principal
    request: RunRequest
    emit: Emit
    model: PricedModel
    agent: Agent
    tools: Registry
    limits: RunLimits
    claim: Claim
    fail: Callable[[AppError], None]
    session_id: str
    message_id: str
    started: float = field(default_factory=time.perf_counter)
    progress: Progress = field(default_factory=Progress)
    degraded: list[str] = field(default_factory=list)

    @property
    def latency_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 2)


class Runner:
    """Built once a process. `run` is the only way to a model."""

    def __init__(
        self,
        settings: Settings,
        *,
        agents: Mapping[str, Agent],
        models: Models,
        tools: Registry,
        sessions: Sessions,
        limiter: Limiter,
        tracing: Tracing,
    ) -> None:
        self._settings = settings
        self._agents = agents
        self._models = models
        self._tools = tools
        self._sessions = sessions
        self._limiter = limiter
        self._tracing = tracing
        self._runs: set[Run] = set()

    def run(self, principal: Principal, request: RunRequest) -> Run:
        """Start a run. Its last event is RunFinished or RunFailed, unless it is cancelled.

        It has the tools that the principal may use. Raises NotFound for an unknown agent, model or tool, Forbidden
        for a tool asked for that the principal may not use, before anything has started.
        """
        model, agent, tools = self._choose(principal, request)
        session_id, message_id = request.session_id or str(uuid4()), str(uuid4())
        limits = self._limits_of(request)
        most, least = self._worst_case(request, limits, model, agent, tools)
        claim = self._limiter.claim(principal, request.operation, message_id, most, least)

        async def execute(emit: Emit) -> None:
            await self._execute(
                _Work(
                    principal,
                    request,
                    emit,
                    model,
                    agent,
                    tools,
                    limits,
                    claim,
                    run.fail,
                    session_id,
                    message_id,
                )
            )

        run = Run(execute, on_over=self._runs.discard)
        self._runs.add(run)
        return run

    def stop(self) -> None:
        """End every run that is still going, each with ShuttingDown as its last event."""
        for run in tuple(self._runs):
            run.fail(ShuttingDown("The service is being stopped. Send the request again.", retry_after=1))

    def _choose(self, principal: Principal, request: RunRequest) -> tuple[PricedModel, Agent, Registry]:
        name = request.agent or DEFAULT_AGENT
        if name not in self._agents:
            raise NotFound(f"There is no agent {name!r}. Known: {', '.join(self._agents)}.")
        agent = self._agents[name]
        if request.tools is None:
            names = principal.usable(agent.tools)
        else:
            names = request.tools
            for tool in names:
                principal.require_tool(tool)
        return self._models.find(request.model), agent, self._tools.subset(names)

    def _limits_of(self, request: RunRequest) -> RunLimits:
        settings = self._settings
        return RunLimits(
            max_iterations=min(request.max_iterations or settings.max_iterations, settings.max_iterations),
            max_tokens=settings.max_tokens,
            max_run_tokens=settings.max_run_tokens,
            max_cost_usd=min(request.max_cost_usd or settings.max_cost_usd, settings.max_cost_usd),
        )

    def _worst_case(
        self, request: RunRequest, limits: RunLimits, model: PricedModel, agent: Agent, tools: Registry
    ) -> tuple[tuple[int, int], tuple[int, int]]:
        """Tokens and nano-dollars that the run may use, and that its first model call may. Its history is not known
        yet."""
        first = most_input_tokens(agent.system_prompt, [UserMessage(request.message)], tools.values())
        if request.session_id is not None:
            first += most_history_tokens(self._settings.history_max_tokens)
        one_call = most_of_call(model.price, limits, first)
        if not tools or limits.max_iterations == 1:
            return one_call, one_call
        return most_of_run(model.price, limits), one_call

    async def _execute(self, work: _Work) -> None:
        attributes = {
            "gen_ai.operation.name": "invoke_agent",
            "gen_ai.agent.name": work.agent.name,
            "gen_ai.provider.name": work.model.model.provider,
            "gen_ai.request.model": work.model.model.name,
            "gen_ai.conversation.id": work.session_id,
        }
        with self._tracing.span(f"invoke_agent {work.agent.name}", attributes) as span:
            try:
                work.emit(RunFinished(await self._answer(work, span)))
            except AppError as error:
                await self._limiter.settle(work.claim)
                self._report_failure(work, span, error)
            except asyncio.CancelledError:
                self._limiter.leases.settle_later(work.claim)
                self._log_end("agent.request.failed", work, error="cancelled")
                raise
            except Exception:  # the client sees the request id, the log has the stack
                log.exception("agent.request.crashed")
                self._limiter.leases.settle_later(work.claim)
                self._report_failure(work, span, InternalError("Something went wrong on our side."))

    async def _answer(self, work: _Work, span: Span) -> Answer:
        user_message = UserMessage(work.request.message)
        headers, history = await self._admit_and_recall(work)
        request_id, trace_id, _ = current.get()
        work.emit(RunStarted(work.session_id, work.message_id, work.model.model.ref, request_id, trace_id, headers))
        log.info(
            "agent.request.start",
            user=work.principal.user,
            session_id=work.session_id,
            **self._content(work.request.message),
        )
        await self._loop(work, [*history, user_message])
        await self._settle_and_remember(work, user_message)
        progress = work.progress
        latency_ms = work.latency_ms
        metrics.OVERHEAD.observe(max(latency_ms / 1000 - progress.outside_seconds, 0.0))
        self._log_end("agent.request.success", work, **self._content(progress.text))
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
            session_id=work.session_id,
            message_id=work.message_id,
            model=work.model.model.ref,
            finish_reason=progress.finish_reason,
            usage=progress.usage,
            tokens_used=progress.usage.total,
            cost_usd=progress.cost_usd,
            latency_ms=latency_ms,
            trace_id=trace_id,
            request_id=request_id,
            degraded=tuple(work.degraded),
            tool_calls=tuple(progress.tool_calls),
            iterations=progress.iterations,
            suggestions=self._suggestions(work, history),
        )

    def _suggestions(self, work: _Work, history: Sequence[Message]) -> tuple[Suggestion, ...]:
        if not work.request.suggestions:
            return ()
        return suggest(Ran(work.progress, history, work.model, self._models, work.tools))

    async def _admit_and_recall(self, work: _Work) -> tuple[Mapping[str, str], list[Message]]:
        """In one round trip to the store."""
        turns = None
        if work.request.session_id is not None:
            turns = self._sessions.load(work.principal.user, work.session_id)
        try:
            headers = await self._limiter.admit(work.claim, work.fail)
        except BaseException:
            if turns is not None:
                turns.close()
            raise
        if work.claim.degraded:
            work.degraded.append("limits")
        try:
            return headers, [] if turns is None else trim(await turns, self._settings.history_max_tokens)
        except StateUnavailable as error:
            self._degrade(work, error)
            return headers, []

    async def _settle_and_remember(self, work: _Work, user_message: UserMessage) -> None:
        """In one round trip to the store."""
        turn = Turn(work.message_id, time.time(), (user_message, *work.progress.messages))
        appended = self._sessions.append(work.principal.user, work.session_id, turn)
        try:
            await self._limiter.settle(work.claim)
        except BaseException:
            appended.close()
            raise
        try:
            await appended
        except StateUnavailable as error:
            self._degrade(work, error)

    async def _loop(self, work: _Work, conversation: list[Message]) -> None:
        loop = Loop(
            tracing=self._tracing,
            agent=work.agent,
            model=work.model,
            tools=work.tools,
            limits=work.limits,
            stream=work.request.stream,
            emit=work.emit,
            claim=work.claim,
            settle=partial(self._limiter.settle, work.claim, over=False),
        )
        try:
            async with asyncio.timeout(self._settings.run_timeout_seconds) as deadline:
                await loop.run(conversation, work.progress)
        except TimeoutError:
            if not deadline.expired():
                raise
            raise DeadlineExceeded(
                f"The run did not finish within {self._settings.run_timeout_seconds:g} s. Ask for less at once."
            ) from None

    def _degrade(self, work: _Work, error: StateUnavailable) -> None:
        if "sessions" not in work.degraded:
            work.degraded.append("sessions")
            log.warning("state.unavailable", error=repr(error.__cause__))

    def _report_failure(self, work: _Work, span: Span, error: AppError) -> None:
        if span.is_recording():
            fail(span, error)
        self._log_end("agent.request.failed", work, error=error.slug)
        work.emit(RunFailed(error))

    def _log_end(self, event: str, work: _Work, **fields: object) -> None:
        progress = work.progress
        log.info(
            event,
            user=work.principal.user,
            session_id=work.session_id,
            model=work.model.model.ref,
            iterations=progress.iterations,
            tokens=progress.usage.total,
            cost_usd=progress.cost_usd,
            latency_ms=work.latency_ms,
            **fields,
        )

    def _content(self, text: str) -> dict[str, str]:
        return {"content": text} if self._settings.log_content else {}
