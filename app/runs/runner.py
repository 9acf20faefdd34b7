"""Makes runs: who may ask what of which agent, model and tools, and what that may come to at most."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import lru_cache, partial
from typing import Any, NamedTuple, get_args

from app.access.principal import Principal
from app.agents.catalog import DEFAULT
from app.agents.definition import Agent, Override, RunLimits
from app.errors import InvalidRequest, NotFound, ShuttingDown, Unauthorized
from app.ids import new_id
from app.limits.allowance import Amount, Growth
from app.messages import UserMessage
from app.models.resilient import ResilientModel
from app.models.router import Router
from app.runs.context import Candidate, RunContext, Services
from app.runs.ending import conclude
from app.runs.estimates import (
    least_of_call,
    most_format_tokens,
    most_history_tokens,
    most_input_tokens,
    most_of_call,
    most_of_run,
)
from app.runs.feed import Feed
from app.runs.guarding import check_input
from app.runs.handle import RunHandle
from app.runs.journal import Earlier
from app.runs.judging import is_judged, most_of_judge
from app.runs.memory import Memory
from app.runs.pipeline import execute
from app.runs.plan import Costs
from app.runs.report import series_of
from app.runs.request import RunRequest
from app.runs.resuming import held_of
from app.runs.toolset import Toolset, toolset
from app.safety.policy import may_ask
from app.safety.verdict import Verdict
from app.telemetry.logs import log
from app.telemetry.traces import link_to
from app.tools.registry import Registry

Pipeline = Callable[[RunContext, RunHandle], Coroutine[Any, Any, None]]

_LAST_WORDS_SECONDS = 2.0
_TOOLSETS = 256  # that are kept: the agents', and what requests choose of them
_BOUNDS = 256  # likewise: of models, and what requests choose of them
_OVERRIDES: tuple[Override, ...] = get_args(Override)


class Kept(NamedTuple):
    """What is known beforehand of a run that a record is kept of."""

    run_id: str
    session_id: str
    earlier: Earlier | None


class Runner:
    """Built once a process. `start` is the only way to a model."""

    def __init__(
        self, services: Services, *, agents: Mapping[str, Agent], tools: Registry, pipeline: Pipeline = execute
    ) -> None:
        """`pipeline` is what every run goes through."""
        for agent in agents:
            series_of(agent)
        self._services = services
        self._pipeline = pipeline
        self._agents = agents
        self._toolset = lru_cache(_TOOLSETS)(lambda names: toolset(tools.subset(names)))
        self._may_pause = lru_cache(_TOOLSETS)(_may_pause)
        self._ever_pauses = lru_cache(_TOOLSETS)(lambda agent: _may_pause(agent, self._toolset(agent.tools), True))
        self._candidates = lru_cache(_BOUNDS)(_candidates_of)
        self._going_on: set[RunHandle] = set()

    def start(self, principal: Principal, request: RunRequest) -> RunHandle:
        """A run, to be begun. Its last event is RunFinished or RunFailed, unless it is cancelled.

        It has those of its agent's tools that the principal may use. Raises NotFound for an unknown agent or model, or
        a tool that the agent has not, Forbidden for a tool asked for that the principal may not use, InvalidRequest for
        what the agent does not allow to be set, before anything has started.
        """
        feed = Feed()
        return self._handle(self._context(principal, request, feed), feed)

    def prepare(self, principal: Principal, request: RunRequest) -> RunContext:
        """A run that is not to begin here. Raises as `start` does."""
        return self._context(principal, request, Feed())

    def check(self, principal: Principal, request: RunRequest) -> Agent:
        """The agent of a run that is to begin later. Raises as `start` does."""
        return self._resolve(principal, request)[0]

    def may_pause(self, principal: Principal, request: RunRequest) -> bool:
        """Whether the run can come to a call that a person decides on. Raises as `start` does."""
        agent = self._find(principal, request)
        if not self._ever_pauses(agent):  # as most, and this is asked of every request
            return False
        return self._may_pause(agent, self._tools(principal, agent, request), request.session_id is not None)

    def check_input(self, principal: Principal, agent: Agent, request: RunRequest, run_id: str = "") -> Verdict:
        """Of a run that is to begin later. Raises UnsafeInput, GuardUnavailable."""
        return check_input(self._services, principal, agent, request, run_id)

    def take_up(
        self,
        principal: Principal,
        request: RunRequest,
        run_id: str,
        session_id: str,
        earlier: Earlier | None = None,
    ) -> tuple[RunContext, RunHandle]:
        """A run that gets a journal, whose rates are counted as it is submitted, to be begun; with `earlier`, it goes
        on from there. Raises as `start` does."""
        feed = Feed()
        run = self._context(principal, request, feed, Kept(run_id, session_id, earlier))
        if earlier is not None:
            run.links = link_to(earlier.carried.traceparent)
        return run, self._handle(run, feed)

    def _resolve(
        self, principal: Principal, request: RunRequest
    ) -> tuple[Agent, Toolset, Router | None, tuple[Candidate, ...], Amount]:
        """What of this service the request asks for, and the most that it may come to. Raises as `start` does."""
        agent = self._find(principal, request)
        tools = self._tools(principal, agent, request)
        router = self._services.router
        if router is not None and not router.answers(request.model, agent.models):
            router = None
        models = self._models(request, agent, router)
        candidates, most = self._candidates(
            agent,
            models,
            request.max_iterations,
            request.max_cost_usd,
            request.max_tokens,
            tuple([model.reasons for model in models]),
        )
        return agent, tools, router, candidates, most

    def _context(self, principal: Principal, request: RunRequest, feed: Feed, kept: Kept | None = None) -> RunContext:
        services = self._services
        agent, tools, router, candidates, most = self._resolve(principal, request)
        model, limits = candidates[0].model, candidates[0].limits
        system = tools.told(agent.system_prompt if request.system is None else request.system)
        costs = Costs(model.dearest, system, tools.most_tokens + most_format_tokens(request.response_format))
        if kept is None:
            message_id, session_id = new_id(), request.session_id or new_id()
        else:
            message_id, session_id = kept.run_id, kept.session_id
        redactor = services.redactor
        if redactor is not None and request.system is None:
            redactor = redactor.guarding(agent.system_prompt)
        first = partial(_first_call, request, agent, limits, costs)
        judge = services.judge
        if judge is not None and is_judged(agent):
            beside = most_of_judge(judge, request.message)
            most, first = _plus(most, beside), partial(_first_call_and, beside, first)
        limiter = services.limiter
        if kept is not None and kept.earlier is not None:
            reservation = limiter.resume(principal, held_of(message_id, request.operation, kept.earlier))
        else:
            reservation = limiter.reservation(
                principal, request.operation, message_id, most, first, model=model.resting, counted=kept is not None
            )
        return RunContext(
            services,
            principal,
            request,
            agent,
            candidates,
            model,
            tools,
            limits,
            costs,
            reservation,
            Memory(
                services.sessions,
                services.settings.session_max_bytes,
                agent,
                principal,
                session_id,
                message_id,
                UserMessage(request.message),
                services.redactor,
            ),
            feed.emit,
            redactor,
            router=router,
        )

    def _handle(self, run: RunContext, feed: Feed) -> RunHandle:
        return RunHandle(
            partial(self._pipeline, run),
            self._going_on,
            feed,
            run.principal.credential,
            _conclude=partial(conclude, run),
        )

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

    def _find(self, principal: Principal, request: RunRequest) -> Agent:
        name = request.agent or DEFAULT
        agent = self._agents.get(name)
        if agent is None or not (agent.public or principal.may_ask(name)):
            known = [name for name, agent in self._agents.items() if agent.public or principal.may_ask(name)]
            raise NotFound(f"There is no agent {name!r}. Known: {', '.join(known)}.")
        if request.overrides:
            _check_overrides(request, agent)
        return agent

    def _models(self, request: RunRequest, agent: Agent, router: Router | None) -> tuple[ResilientModel, ...]:
        models = self._services.models
        if router is None:
            return models.chain(request.model, agent.models)
        return tuple([models[ref] for ref in router.order(agent.models)])

    def _tools(self, principal: Principal, agent: Agent, request: RunRequest) -> Toolset:
        if request.tools is None:
            return self._toolset(principal.usable(agent.tools))
        for tool in request.tools:
            principal.require_tool(tool)
            if tool not in agent.tools:
                had = ", ".join(agent.tools) or "none"
                raise NotFound(f"The agent {agent.name!r} has no tool {tool[:64]!r}. Tools that it has: {had}.")
        return self._toolset(request.tools)


def _may_pause(agent: Agent, tools: Toolset, in_session: bool) -> bool:
    """A session may have seen anything."""
    return may_ask(tools.registry.values(), agent.approving, agent.when_tainted, tainted=in_session)


def _check_overrides(request: RunRequest, agent: Agent) -> None:
    """Raises InvalidRequest."""
    for field in _OVERRIDES:
        if getattr(request, field) is not None and field not in agent.allows:
            raise _not_allowed(field, agent)


def _not_allowed(field: Override, agent: Agent) -> InvalidRequest:
    allowed = ", ".join(sorted(agent.allows)) or "nothing"
    problem = f"the agent {agent.name!r} lets requests set {allowed}"
    return InvalidRequest(f"{field}: {problem}", [{"field": field, "problem": problem}])


def _candidates_of(
    agent: Agent,
    models: tuple[ResilientModel, ...],
    max_iterations: int | None,
    max_cost_usd: float | None,
    max_tokens: int | None,
    reason: tuple[bool, ...],
) -> tuple[tuple[Candidate, ...], Amount]:
    """The models that may answer a run with its limits, and the most that it may come to with the dearest of them."""
    candidates = tuple(
        [
            Candidate(model, _limits_of(agent.limits, max_iterations, max_cost_usd, max_tokens, reasons))
            for model, reasons in zip(models, reason, strict=True)
        ]
    )
    amounts = [most_of_run(candidate.model.dearest, candidate.limits) for candidate in candidates]
    return candidates, (max(tokens for tokens, _ in amounts), max(nanos for _, nanos in amounts))


def _limits_of(
    most: RunLimits, max_iterations: int | None, max_cost_usd: float | None, max_tokens: int | None, reasons: bool
) -> RunLimits:
    return RunLimits(
        max_iterations=min(max_iterations or most.max_iterations, most.max_iterations),
        max_tokens=min(max_tokens or most.max_tokens, most.max_tokens),
        max_run_tokens=most.max_run_tokens,
        max_cost_usd=min(max_cost_usd or most.max_cost_usd, most.max_cost_usd),
        max_reasoning_tokens=most.max_reasoning_tokens if reasons else 0,
    )


def _plus(amount: Amount, other: Amount) -> Amount:
    return amount[0] + other[0], amount[1] + other[1]


def _first_call_and(beside: Amount, first: Callable[[], Growth]) -> Growth:
    """With what is called beside it."""
    growth = first()
    return Growth(_plus(growth.wanted, beside), _plus(growth.least, beside))


def _first_call(request: RunRequest, agent: Agent, limits: RunLimits, costs: Costs) -> Growth:
    """What a run reserves for its first model call, whose history is not known yet."""
    known = most_input_tokens(costs.system_prompt, [UserMessage(request.message)], costs.beside_tokens)
    read = known
    if request.session_id is not None or request.history is not None:
        read += most_history_tokens(agent.history_max_tokens)
    tokens, nanos = most_of_call(costs.price, limits, read)
    least = least_of_call(costs.price, limits, known)
    return Growth((tokens, nanos), (min(least[0], tokens), min(least[1], nanos)))
