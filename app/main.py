"""Wiring: what is built once a process, and how its parts find each other."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial

from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from app import __version__, memory
from app.agent.definition import Agent
from app.api import agent, chat, health, sessions, tools, usage
from app.api.caller import Callers
from app.api.edge import Edge
from app.api.entrance import Entrance
from app.api.guard import guard
from app.api.instrumentation import trace_requests
from app.api.lean_route import LeanRoute, Shortcut
from app.api.lifecycle import Lifecycle
from app.api.problems import describe_problems
from app.api.proxies import Proxies
from app.background import supervise
from app.execution import Services
from app.limits.claim import LIMIT_HEADERS
from app.limits.gate import Gate
from app.limits.identity import build_identity
from app.limits.limiter import Limiter
from app.limits.usage import UsageBook
from app.models.build import build_models
from app.prober import Prober
from app.runner import DEFAULT_AGENT, Runner
from app.settings import Settings
from app.state.bounds import Bounds
from app.state.redis import connect
from app.state.sessions import Sessions
from app.telemetry import metrics, traces
from app.telemetry.scrubbing import keep_secrets_of
from app.tools import registry as tool_registry


def create_app(settings: Settings, lifecycle: Lifecycle | None = None) -> FastAPI:
    """The service. Raises ConfigurationError for settings that it cannot work with."""
    lifecycle = lifecycle or Lifecycle(settings.max_active_requests)
    keep_secrets_of(settings)
    tracing = traces.configure()
    models = build_models(settings)
    registry = tool_registry.load()
    store = connect(settings.redis_url, settings.redis_ca_file)
    history = Sessions(store, Bounds.of(settings), anonymous=settings.auth == ("none",))
    limiter = Limiter(settings, store)
    runner = Runner(
        Services(settings, models, history, limiter, tracing),
        agents={DEFAULT_AGENT: Agent(DEFAULT_AGENT, settings.system_prompt, tuple(registry))},
        tools=registry,
    )
    prober = Prober(
        {ref: priced.model.probe for ref, priced in models.items()},
        partial(store.call, "PING") if settings.redis_url else None,
    )
    identity = build_identity(settings)
    gate = Gate(settings.anonymous_per_minute, settings.anonymous_concurrent, settings.refused_per_minute)
    entrance = Entrance(gate, Proxies(settings.trusted_proxies), anonymous=identity.everyone)
    callers = Callers(identity, entrance)
    metrics.start_at_zero(models, registry)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        keep = partial(supervise, lifecycle=lifecycle)
        watchers = [
            asyncio.create_task(keep("probes", prober.watch, essential=False)),
            asyncio.create_task(keep("keys", identity.watch)),
            asyncio.create_task(keep("leases", limiter.leases.tend)),
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
        await limiter.leases.aclose()
        await models.aclose()
        await store.aclose()
        await tracing.aclose()

    app = FastAPI(
        title="agent-api",
        version=__version__,
        summary="Run an LLM agent for many users.",
        lifespan=lifespan,
        redirect_slashes=False,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},  # see telemetry/
    )
    app.state.runner = runner
    app.router.route_class = LeanRoute
    describe_problems(app)
    chat.routes(app, runner, settings.max_message_chars)
    agent.routes(app, runner, settings.max_message_chars)
    tools.routes(app, registry, limiter, lifecycle)
    sessions.routes(app, history, limiter)
    usage.routes(app, limiter, UsageBook(store, limiter.budgets, limiter.anonymous_budgets))
    health.routes(app, lifecycle, prober)
    guard(app, callers.authenticate, documented=not identity.everyone)
    plain = Shortcut(app)
    app.middleware_stack = Edge(
        plain=plain,
        traced=trace_requests(app, plain, tracing),
        routes=app.routes,
        cors=_cross_origin(plain, settings.cors_origins) if settings.cors_origins else None,
        tracing=tracing,
        lifecycle=lifecycle,
        max_body_bytes=settings.max_body_bytes,
        entrance=entrance,
    )
    return app


def _cross_origin(app: ASGIApp, origins: Sequence[str]) -> CORSMiddleware:
    return CORSMiddleware(
        app,
        allow_origins=origins,
        allow_methods=["GET", "POST", "DELETE"],
        allow_headers=["*"],
        expose_headers=["X-Request-Id", "X-Trace-Id", "X-Request-Latency", "Retry-After", *LIMIT_HEADERS],
    )
