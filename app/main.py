"""Wiring: what is built once a process, and how its parts find each other."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI

from app import memory
from app.access.identity import build_identity
from app.access.proxies import Proxies
from app.agents.catalog import Agents
from app.api import agent, chat, docs, feedback, health, request_metrics, sessions, tools, usage
from app.api.authentication import document_authentication
from app.api.caller import Callers
from app.api.cors import CrossOrigin
from app.api.entrance import Entrance
from app.api.framework import Api
from app.api.lifecycle import Lifecycle
from app.api.middleware import PROBES, Middleware
from app.api.prefix import Prefixes
from app.background import supervise
from app.limits.gate import Gate
from app.limits.limiter import Limiter
from app.models.catalog import build_models
from app.models.router import build_router
from app.models.tiers import AUTO
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
from app.telemetry import event_loop, traces
from app.telemetry.known_series import start_at_zero
from app.telemetry.prober import Prober
from app.telemetry.scrubbing import keep_secrets_of
from app.tools import registry as tool_registry


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> Api:
    """The service. Raises ConfigurationError for settings that it cannot work with."""
    lifecycle = lifecycle or Lifecycle(settings.max_active_requests)
    keep_secrets_of(settings)
    tracing = traces.configure(settings)
    models = build_models(settings, tracing)
    registry = tool_registry.load()
    router = build_router(settings, models)
    check_settings(settings, models, registry)
    store = connect(settings.redis_url, settings.redis_ca_file, tls_strict=settings.tls_strict)
    history = Sessions(store, Bounds.of(settings), anonymous=settings.auth == ("none",))
    answers = AnswerCache(store, settings)
    limiter = Limiter(settings, store)
    marks = build_feedback(store, settings) if settings.feedback_days else None
    agents = Agents(settings, models if router is None else [*models, AUTO], tuple(registry))
    similar = None
    if settings.similar_answers != "never":
        from app.runs.similar import build_similar

        similar = build_similar(settings, store, tracing)
    runner = Runner(
        Services(settings, models, history, limiter, tracing, Flights(answers), marks, similar, router),
        agents=agents,
        tools=registry,
    )
    prober = Prober(
        {ref: model.probe for ref, model in models.items()},
        partial(store.call, "PING") if settings.redis_url else None,
    )
    identity = build_identity(settings)
    identity.on_look(runner.end_withdrawn)
    gate = Gate(settings.anonymous_per_minute, settings.anonymous_concurrent, settings.refused_per_minute)
    proxies = Proxies(settings.trusted_proxies)
    entrance = Entrance(gate, proxies, anonymous=identity.everyone)
    callers = Callers(identity, entrance)
    start_at_zero(known_labels(settings, models, router, registry))

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keep = partial(supervise, lifecycle=lifecycle)
        watchers = [
            asyncio.create_task(keep("probes", prober.watch, essential=False)),
            asyncio.create_task(keep("keys", identity.watch)),
            asyncio.create_task(keep("agents", agents.watch)),
            asyncio.create_task(keep("limits", limiter.run)),
            asyncio.create_task(keep("event-loop", event_loop.watch, essential=False)),
            asyncio.create_task(keep("memory", memory.trim, essential=False)),
        ]
        if lifecycle.state == "starting":  # and not asked to leave meanwhile
            lifecycle.state = "ready"
        yield
        for watcher in watchers:
            watcher.cancel()
        await asyncio.wait(watchers)
        await runner.aclose()
        await history.aclose()
        await answers.aclose()
        if marks is not None:
            await marks.aclose()
        if similar is not None:
            await similar.aclose()
        await limiter.close()
        await models.aclose()
        await store.aclose()
        await tracing.aclose()

    app = Api(lifespan)
    app.state.runner = runner
    chat.routes(app, runner, settings.max_message_chars)
    agent.routes(app, runner, settings.max_message_chars)
    tools.routes(app, registry, limiter, lifecycle, tracing)
    sessions.routes(app, history, limiter)
    usage.routes(app, limiter)
    feedback.routes(app, marks, limiter, tracing)
    health.routes(app, lifecycle, prober, models)
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
            entrance=entrance,
        )
    )
    return app
