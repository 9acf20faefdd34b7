"""A runner on a stage of its own: scripted models, some tools, a store in this process."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from app.access.principal import Principal
from app.agents.catalog import DEFAULT, default_agent
from app.audit.audit import NO_AUDIT, Audit
from app.limits.limiter import Limiter
from app.messages import Turn
from app.models.prices import FREE, Price
from app.models.router import build_router
from app.redaction.redactor import Redactor
from app.runs.context import Services
from app.runs.events import Answer, Event, RunFinished
from app.runs.pipeline import execute
from app.runs.request import RunRequest
from app.runs.runner import Pipeline, Runner
from app.safety.judge import Judge
from app.safety.verdict import InputGuard
from app.settings import load
from app.state.answer_cache import AnswerCache
from app.state.bounds import Bounds
from app.state.flights import Flights
from app.state.in_process import InProcessStore
from app.state.sessions import Sessions
from app.state.store import Store
from app.telemetry.traces import Tracing
from app.tools import Tool
from app.tools.registry import Registry
from tests.doubles import ADA, ScriptedModel, models

NO_LIMITS: dict[str, Any] = {"budget_global_day_usd": None}


class Stage:
    def __init__(
        self,
        *scripted: ScriptedModel,
        tools: Sequence[Tool] = (),
        store: Store | None = None,
        price: Price = FREE,
        prices: Mapping[str, Price] = {},
        tracing: Tracing | None = None,
        agents: Mapping[str, Mapping[str, Any]] = {},
        pipeline: Pipeline = execute,
        audit: Audit = NO_AUDIT,
        redactor: Redactor | None = None,
        guard: InputGuard | None = None,
        judge: Judge | None = None,
        bounds: Bounds = Bounds(ttl_seconds=60, max_turns=100),  # noqa: B008 - immutable
        **settings: Any,
    ) -> None:
        """`agents` are further ones, by name, in what they differ from the default agent."""
        self.settings = load(None, **(NO_LIMITS | settings))
        self.store = store or InProcessStore()
        self.sessions = Sessions(self.store, bounds)
        self.answers = AnswerCache(self.store, self.settings)
        self.limiter = Limiter(self.settings, self.store, audit)
        self.model = scripted[0]
        registry = Registry(tools)
        default = default_agent(self.settings, tuple(registry))
        tracing = tracing or Tracing(None)
        self.models = models(*scripted, price=price, prices=prices, tracing=tracing)
        self.runner = Runner(
            Services(
                self.settings,
                self.models,
                self.sessions,
                self.limiter,
                tracing,
                Flights(self.answers),
                router=build_router(self.settings, self.models),
                audit=audit,
                redactor=redactor,
                guard=guard,
                judge=judge,
            ),
            agents={
                DEFAULT: dataclasses.replace(default, system_prompt="Be brief."),
                "mute": dataclasses.replace(default, name="mute", system_prompt="Say nothing.", tools=()),
                **{name: dataclasses.replace(default, name=name, **changes) for name, changes in agents.items()},
            },
            tools=registry,
            pipeline=pipeline,
        )

    async def events(self, message: str = "Hello", principal: Principal = ADA, **request: Any) -> list[Event]:
        async with self.runner.start(principal, RunRequest(message, **request)) as run:
            return [event async for event in run]

    async def answer(self, message: str = "Hello", principal: Principal = ADA, **request: Any) -> Answer:
        last = (await self.events(message, principal, **request))[-1]
        assert isinstance(last, RunFinished), last
        return last.answer

    async def remembered(self, session_id: str = "s", user: str = ADA.user) -> list[Turn]:
        return await self.sessions.load(user, session_id)
