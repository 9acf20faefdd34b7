"""Makes runs: who may ask what of which agent, model and tools, and what that may come to at most."""

import asyncio
from collections.abc import Mapping
from functools import lru_cache, partial

from app.access.principal import Principal
from app.agents.definition import Agent, RunLimits
from app.errors import NotFound, ShuttingDown, Unauthorized
from app.ids import new_id
from app.limits.allowance import Amount, Growth
from app.messages import UserMessage
from app.models.catalog import PricedModel
from app.runs.estimates import (
    least_of_call,
    most_history_tokens,
    most_input_tokens,
    most_of_call,
    most_of_run,
)
from app.runs.handle import Run, RunRequest
from app.runs.memory import Memory
from app.runs.pipeline import Execution, Services
from app.runs.toolset import Toolset, toolset
from app.telemetry.logs import log
from app.tools.registry import Registry

DEFAULT_AGENT = "default"
_LAST_WORDS_SECONDS = 2.0
_TOOLSETS = 256  # that are kept: the agents', and what requests choose of them
_BOUNDS = 256  # likewise: a model's, and what requests choose of them


class Runner:
    """Built once a process. `run` is the only way to a model."""

    def __init__(self, services: Services, *, agents: Mapping[str, Agent], tools: Registry) -> None:
        self._services = services
        self._agents = agents
        self._toolset = lru_cache(_TOOLSETS)(lambda names: toolset(tools.subset(names)))
        self._bounds = lru_cache(_BOUNDS)(self._bounds_of)
        self._going_on: set[Run] = set()

    def run(self, principal: Principal, request: RunRequest) -> Run:
        """A run, to be begun. Its last event is RunFinished or RunFailed, unless it is cancelled.

        It has the tools that the principal may use. Raises NotFound for an unknown agent, model or tool, Forbidden
        for a tool asked for that the principal may not use, before anything has started.
        """
        agent, tools = self._choose(principal, request)
        model = self._services.models.find(request.model)
        limits, most = self._bounds(model, request.max_iterations, request.max_cost_usd, reasons=model.model.reasons)
        message_id, session_id = new_id(), request.session_id or new_id()
        first = partial(self._first_call, request, limits, model, agent, tools)
        execution = Execution(
            self._services,
            principal,
            request,
            model,
            agent,
            tools,
            limits,
            reservation=self._services.limiter.reservation(principal, request.operation, message_id, most, first),
            memory=Memory(
                self._services.sessions,
                self._services.settings,
                principal,
                session_id,
                message_id,
                UserMessage(request.message),
            ),
            session_id=session_id,
            message_id=message_id,
        )
        run = Run(execution.execute, self._going_on)
        run.credential = principal.credential
        return run

    def stop(self) -> None:
        """End every run that is still going, each with ShuttingDown as its last event."""
        for run in tuple(self._going_on):
            run.fail(ShuttingDown.now())

    def end_withdrawn(self) -> None:
        """End every run whose caller's credentials have been withdrawn since, each with Unauthorized."""
        for run in tuple(self._going_on):
            if problem := run.credential.withdrawn():
                run.fail(Unauthorized(problem))

    async def aclose(self) -> None:
        """End what is still going, and return when nothing is."""
        self.stop()
        try:
            async with asyncio.timeout(_LAST_WORDS_SECONDS):
                while self._going_on:  # noqa: ASYNC110 - runs tell their readers of their end, not us
                    await asyncio.sleep(0.01)
        except TimeoutError:
            log.warning("runs.left", runs=len(self._going_on))

    def _choose(self, principal: Principal, request: RunRequest) -> tuple[Agent, Toolset]:
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
        return agent, self._toolset(names)

    def _bounds_of(
        self, model: PricedModel, max_iterations: int | None, max_cost_usd: float | None, *, reasons: bool
    ) -> tuple[RunLimits, Amount]:
        """The limits of a run, and the most that it may come to."""
        settings = self._services.settings
        limits = RunLimits(
            max_iterations=min(max_iterations or settings.max_iterations, settings.max_iterations),
            max_tokens=settings.max_tokens,
            max_run_tokens=settings.max_run_tokens,
            max_cost_usd=min(max_cost_usd or settings.max_cost_usd, settings.max_cost_usd),
            max_reasoning_tokens=settings.max_reasoning_tokens if reasons else 0,
        )
        return limits, most_of_run(model.price, limits)

    def _first_call(
        self, request: RunRequest, limits: RunLimits, model: PricedModel, agent: Agent, tools: Toolset
    ) -> Growth:
        """What a run reserves for its first model call, whose history is not known yet."""
        known = most_input_tokens(agent.system_prompt, [UserMessage(request.message)], tools.most_tokens)
        read = known
        if request.session_id is not None:
            read += most_history_tokens(self._services.settings.history_max_tokens)
        tokens, nanos = most_of_call(model.price, limits, read)
        least = least_of_call(model.price, limits, known)
        return Growth((tokens, nanos), (min(least[0], tokens), min(least[1], nanos)))
