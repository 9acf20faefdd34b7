"""Batches on a stage of their own: a provider on a real socket, a store, coordinators that tests step by hand."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.access.principal import Principal
from app.agents.catalog import DEFAULT, default_agent
from app.batches.accounts import Accounts
from app.batches.batches import Batches
from app.batches.coordinator import Coordinator
from app.batches.provider import ProviderWay
from app.batches.queue import QueueWay
from app.batches.record import Batch, Input
from app.batches.records import BatchRecords
from app.durable.engines.in_process import InProcessEngine
from app.durable.principals import named
from app.durable.records import Records
from app.limits.limiter import Limiter
from app.models.catalog import Models, build_models
from app.runs.context import Services
from app.runs.request import RunRequest
from app.runs.runner import Runner
from app.settings import Settings, load
from app.state.answer_cache import AnswerCache
from app.state.bounds import Bounds
from app.state.flights import Flights
from app.state.sessions import Sessions
from app.state.store import Store
from app.telemetry.traces import Tracing
from app.tools.registry import Registry
from tests.batches.provider import BatchProvider
from tests.doubles import ADA

MODEL = "anthropic/claude-haiku-4-5"
PACE = 0.002
"""How long waits take of what they should."""


def settings_for(provider: BatchProvider, **settings: Any) -> Settings:
    given = {
        "models": MODEL,
        "anthropic_base_url": provider.url,
        "anthropic_api_key": "sk-ant-of-the-service",
        "budget_global_day_usd": None,
        "system_prompt": "Be brief.",
    }
    return load(None, **(given | settings))


@dataclass
class Process:
    """What one process has of batches."""

    settings: Settings
    store: Store
    models: Models
    limiter: Limiter
    runner: Runner
    records: BatchRecords
    batches: Batches
    runs: Records
    engine: InProcessEngine
    coordinator: Coordinator

    async def submit(
        self, messages: Sequence[str], principal: Principal = ADA, start_at: float = 0.0, **options: Any
    ) -> Batch:
        intake = self.batches.begin(principal, RunRequest("", **options))
        await intake.add([Input(f"c-{n}", message) for n, message in enumerate(messages)])
        return await intake.create(start_at)

    async def step(self) -> int:
        """Do the steps that are due. Returns how many there were."""
        taken = await self.records.take(10)
        for each in taken:
            await self.coordinator.step(each)
        return len(taken)

    async def read(self, batch: Batch, principal: Principal = ADA) -> Batch:
        return await self.batches.read(principal, batch.id)

    async def results(self, batch: Batch) -> list[dict[str, Any]]:
        told = b"".join([piece async for piece in self.batches.results(await self.read(batch))])
        return [json.loads(line) for line in told.splitlines()]


def process(settings: Settings, store: Store, *, lease_seconds: float = 30.0) -> Process:
    models = build_models(settings)
    limiter = Limiter(settings, store)
    registry = Registry(())
    services = Services(
        settings,
        models,
        Sessions(store, Bounds.of(settings)),
        limiter,
        Tracing(None),
        Flights(AnswerCache(store, settings)),
    )
    runner = Runner(services, agents={DEFAULT: default_agent(settings, ())}, tools=registry)
    records = BatchRecords(store, settings, lease_seconds=lease_seconds)
    runs, engine = Records(store, settings), InProcessEngine()
    coordinator = Coordinator(
        records,
        ProviderWay(runner, Accounts(records, limiter, settings), pace=PACE),
        QueueWay(runs, engine),
        named,
        settings,
        pace=PACE,
    )
    batches = Batches(records, runner, settings)
    return Process(settings, store, models, limiter, runner, records, batches, runs, engine, coordinator)
