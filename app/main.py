"""Wiring: what is built once a process, and how its parts find each other."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

from fastapi import FastAPI

from app import memory
from app.access.identity import build_identity
from app.access.proxies import Proxies
from app.agents.catalog import DEFAULT, Agents
from app.api import (
    agent,
    approvals,
    batches,
    chat,
    docs,
    feedback,
    health,
    request_metrics,
    runs,
    sessions,
    tools,
    usage,
    webhooks,
)
from app.api.authentication import document_authentication
from app.api.batch_views import PATH as BATCHES_PATH
from app.api.caller import Callers
from app.api.cors import CrossOrigin
from app.api.entrance import Entrance
from app.api.framework import Api
from app.api.kept_runs import KeptRuns
from app.api.lifecycle import Lifecycle
from app.api.middleware import PROBES, Middleware
from app.api.prefix import Prefixes
from app.api.refused_callers import RefusedCallers
from app.audit.audit import NO_AUDIT, Audit
from app.background import supervise
from app.batches.accounts import Accounts
from app.batches.batches import Batches
from app.batches.coordinator import Coordinator
from app.batches.provider import ProviderWay
from app.batches.queue import QueueWay
from app.batches.records import BatchRecords
from app.durable.approvals.approvals import Approvals
from app.durable.approvals.pending import pending_of
from app.durable.durability import Durability
from app.durable.engine import build_engine
from app.durable.following import Following
from app.durable.principals import principal_of
from app.durable.records import Records
from app.durable.runs import DurableRuns
from app.durable.worker import Worker, places_of
from app.limits.gate import Gate
from app.limits.limiter import Limiter
from app.models.catalog import build_models
from app.models.router import build_router
from app.models.tiers import AUTO
from app.redaction.build import build_redactor
from app.runs.context import Services
from app.runs.known import known_labels
from app.runs.runner import Runner
from app.runs.start_checks import check_settings
from app.settings import Settings
from app.state.answer_cache import AnswerCache
from app.state.bounds import Bounds
from app.state.feedback import build_feedback
from app.state.flights import Flights
from app.state.redis import connect
from app.state.sessions import Sessions
from app.state.subscription import subscription
from app.telemetry import event_loop, traces
from app.telemetry.known_series import rules_at_zero, start_at_zero
from app.telemetry.prober import Prober
from app.telemetry.redactions import redacted, redaction_failed, redactions_at_zero, without_hyperscan
from app.telemetry.scrubbing import keep_secrets_of, redact_with
from app.tools import registry as tool_registry

Keep = Callable[..., Any]


class Parts:
    """What runs need, with or without an API before them. Raises ConfigurationError for settings that it cannot work
    with."""

    def __init__(self, settings: Settings, lifecycle: Lifecycle) -> None:
        keep_secrets_of(settings)
        self.lifecycle = lifecycle
        self.redactor = build_redactor(settings, redacted, redaction_failed, without_hyperscan)
        redact_with(self.redactor)
        if self.redactor is not None:
            redactions_at_zero(settings.redact)
        self.tracing = traces.configure(settings)
        self.models = build_models(settings, self.tracing)
        self.mcp = tool_registry.mcp_servers(settings)
        self.registry = tool_registry.load(settings, self.mcp)
        router = build_router(settings, self.models)
        self.store = connect(settings.redis_url, settings.redis_ca_file, tls_strict=settings.tls_strict)
        self.history = Sessions(self.store, Bounds.of(settings), anonymous=settings.auth == ("none",))
        self.answers = AnswerCache(self.store, settings)
        self.recording = None
        self.audit: Audit = NO_AUDIT
        if settings.audit:
            from app.audit.build import Recording

            self.recording = Recording(settings, self.store)
            self.audit = self.recording.audit
        if self.mcp is not None:
            self.mcp.changes.audit = self.audit
        self.limiter = Limiter(settings, self.store, self.audit)
        self.marks = build_feedback(self.store, settings) if settings.feedback_days else None
        known = self.models if router is None else [*self.models, AUTO]
        self.agents = Agents(settings, known, tuple(self.registry), self.audit)
        check_settings(settings, self.models, self.registry, self.agents[DEFAULT])
        self.guard = None
        if settings.guard_input != "off" or settings.agents_dir is not None:  # whose files may ask for it
            from app.safety.input_guard import build_input_guard

            self.guard = build_input_guard(settings)
            rules_at_zero(self.guard.ids)
        judge = None
        if settings.guard_model is not None:
            from app.safety.judge import build_judge

            judge = build_judge(settings, self.models)
        self.similar = None
        if settings.similar_answers != "never":
            from app.runs.similar import build_similar

            self.similar = build_similar(settings, self.store, self.tracing)
        self.runner = Runner(
            Services(
                settings,
                self.models,
                self.history,
                self.limiter,
                self.tracing,
                Flights(self.answers),
                self.marks,
                self.similar,
                router,
                self.redactor,
                self.guard,
                judge,
                audit=self.audit,
            ),
            agents=self.agents,
            tools=self.registry,
        )
        self.identity = build_identity(settings, self.audit)
        self.identity.on_look(self.runner.end_withdrawn)
        self.records = Records(self.store, settings, self.audit)
        self.webhooks = None
        if settings.webhook_secrets_dir is not None:
            from app.durable.webhooks.webhooks import build_webhooks

            self.webhooks = build_webhooks(settings, self.store, settings.webhook_secrets_dir)
        self.following = Following(self.records, subscription(self.store))
        self.engine = build_engine(settings)
        self.worker = Worker(
            settings, self.records, self.engine, self.runner, self.identity, self.tracing, self.following
        )
        lifecycle.at_drain.add(self.worker.stop)
        self.approvals = Approvals(self.store, settings, self.worker.go_on, self.audit)
        self.batches = BatchRecords(self.store, settings)
        self.coordinator = Coordinator(
            self.batches,
            ProviderWay(self.runner, Accounts(self.batches, self.limiter, settings)),
            QueueWay(self.records, self.engine),
            partial(principal_of, identity=self.identity),
            settings,
        )
        self.prober = Prober(
            {ref: model.probe for ref, model in self.models.items()},
            partial(self.store.call, "PING") if settings.redis_url else None,
        )
        start_at_zero(known_labels(settings, self.models, router, self.registry))

    def watch(self) -> Sequence[asyncio.Task[None]]:
        """What goes on in the background, each in a task."""
        keep = partial(supervise, lifecycle=self.lifecycle)
        self.following.on_cancel(self.worker.cancel)
        own = [] if self.webhooks is None else [asyncio.create_task(keep("webhook-secrets", self.webhooks.watch))]
        if self.recording is not None:
            own.append(asyncio.create_task(keep("audit", self.recording.run, essential=False)))
        if self.mcp is not None:
            own.append(asyncio.create_task(keep("mcp", self.mcp.run, essential=False)))
        return [
            *own,
            asyncio.create_task(keep("probes", self.prober.watch, essential=False)),
            asyncio.create_task(keep("keys", self.identity.watch)),
            asyncio.create_task(keep("agents", self.agents.watch)),
            asyncio.create_task(keep("limits", self.limiter.run)),
            asyncio.create_task(keep("event-loop", event_loop.watch, essential=False)),
            asyncio.create_task(keep("memory", memory.trim, essential=False)),
        ]

    def work(self) -> Sequence[asyncio.Task[None]]:
        """What a process that works on runs does beside them: it carries batches on, and delivers webhooks."""
        keep = partial(supervise, lifecycle=self.lifecycle, essential=False)
        coordinator = asyncio.create_task(keep("batches", self.coordinator.run))
        if self.webhooks is None:
            return [coordinator]
        return [coordinator, asyncio.create_task(keep("webhooks", self.webhooks.run))]

    async def aclose(self) -> None:
        await self.worker.aclose()
        await self.runner.aclose()
        await self.history.aclose()
        await self.answers.aclose()
        if self.marks is not None:
            await self.marks.aclose()
        if self.similar is not None:
            await self.similar.aclose()
        await self.following.aclose()
        if self.webhooks is not None:
            await self.webhooks.aclose()
        await self.limiter.close()
        if self.recording is not None:
            await self.recording.aclose()
        await self.models.aclose()
        await self.registry.aclose()
        await self.store.aclose()
        await self.tracing.aclose()


class WorkerProcess:
    """A process that works on background runs, and serves nobody."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.lifecycle = parts.lifecycle
        self.prober = parts.prober

    async def run(self) -> None:
        """Until `stop` is called; the runs are handed back then."""
        watchers = [*self._parts.watch(), *self._parts.work()]
        self.lifecycle.state = "ready"
        try:
            await supervise("worker", self._parts.worker.run, lifecycle=self.lifecycle)
        finally:
            for watcher in watchers:
                watcher.cancel()
            await asyncio.wait(watchers)
            await self._parts.aclose()

    def stop(self) -> None:
        """Take no more runs, and let `run` return. Call it in the event loop."""
        self.lifecycle.drain()


def create_worker(settings: Settings, lifecycle: Lifecycle | None = None) -> WorkerProcess:
    """The process without an API. Raises ConfigurationError for settings that it cannot work with."""
    return WorkerProcess(Parts(settings, lifecycle or Lifecycle()))


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> Api:
    """The service. Raises ConfigurationError for settings that it cannot work with."""
    lifecycle = lifecycle or Lifecycle(settings.max_active_requests)
    parts = Parts(settings, lifecycle)
    tracing, limiter, identity, runner = parts.tracing, parts.limiter, parts.identity, parts.runner
    durability = Durability(parts.records.volatile if settings.redis_url else None)
    durable = DurableRuns(
        runner,
        parts.agents,
        limiter,
        parts.records,
        parts.following,
        parts.engine,
        parts.worker,
        workers=bool(settings.workers or settings.redis_url or settings.run_queue_url),
        webhooks=parts.webhooks,
    )
    kept = KeptRuns(durable, lifecycle)
    parts.identity.on_look(kept.end_withdrawn)
    gate = Gate(settings.anonymous_per_minute, settings.anonymous_concurrent, settings.refused_per_minute)
    proxies = Proxies(settings.trusted_proxies)
    refused = RefusedCallers(parts.audit)
    entrance = Entrance(gate, proxies, anonymous=identity.everyone, refused=refused)
    callers = Callers(identity, entrance, refused)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keep = partial(supervise, lifecycle=lifecycle)
        watchers = [
            *parts.watch(),
            asyncio.create_task(keep("durability", durability.watch, essential=False)),
        ]
        if places_of(settings):
            watchers.append(asyncio.create_task(keep("worker", parts.worker.run, essential=False)))
        if settings.workers:
            watchers += parts.work()
        if lifecycle.state == "starting":  # and not asked to leave meanwhile
            lifecycle.state = "ready"
        yield
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)
        await parts.aclose()

    app = Api(lifespan)
    app.state.runner, app.state.kept = runner, kept
    chat.routes(app, runner, kept, settings.max_message_chars)
    agent.routes(app, runner, kept, settings.max_message_chars)
    runs.routes(app, durable, partial(pending_of, parts.store), kept, limiter, settings.max_message_chars)
    batches.routes(app, Batches(parts.batches, runner, settings), limiter, settings)
    approvals.routes(app, parts.approvals, limiter, parts.redactor)
    webhooks.routes(app, durable.read, parts.webhooks, limiter, parts.redactor)
    tools.routes(app, parts.registry, parts.agents, limiter, lifecycle, tracing, parts.audit, parts.redactor)
    sessions.routes(app, parts.history, limiter)
    usage.routes(app, limiter, parts.audit)
    feedback.routes(app, parts.marks, limiter, tracing, parts.redactor)
    health.routes(app, lifecycle, parts.prober, parts.models, durability, parts.mcp)
    docs.routes(app, pages=settings.docs)
    if not identity.everyone:
        app.amend(document_authentication)
    request_metrics.start_at_zero(route for route in app.routes if getattr(route, "path", None) not in PROBES)
    behind_path = settings.root_path or settings.trusted_proxies
    app.serve_through(
        Middleware(
            app.routed,
            trusted=proxies.sent,
            authenticate=callers.authenticate,
            routes=app.routes,
            cors=CrossOrigin(app.routed, settings.cors_origins) if settings.cors_origins else None,
            prefixes=Prefixes(settings.root_path, proxies.sent, app.routes) if behind_path else None,
            tracing=tracing,
            lifecycle=lifecycle,
            max_body_bytes=settings.max_body_bytes,
            line_routes={BATCHES_PATH: settings.batch_body_bytes},
            entrance=entrance,
            refused=callers.refused,
        )
    )
    return app
