"""The libraries that watch HTTP: metrics by prometheus-fastapi-instrumentator, spans by OpenTelemetry's FastAPI one."""

from fastapi import FastAPI
from prometheus_fastapi_instrumentator import Instrumentator
from prometheus_fastapi_instrumentator.metrics import Info
from starlette.types import ASGIApp

from app.telemetry import metrics
from app.telemetry.traces import Tracing


def count_requests(app: FastAPI) -> None:
    """Count and time requests by route, method and status; unknown paths count as `none`."""

    def observe(info: Info) -> None:
        metrics.REQUESTS.labels(info.modified_handler, info.method, info.modified_status).inc()
        metrics.REQUEST_LATENCY.labels(info.modified_handler).observe(info.modified_duration)

    Instrumentator(should_group_status_codes=False, excluded_handlers=["^/(live|ready|health)$"]).add(
        observe
    ).instrument(app)


def trace_requests(app: FastAPI, tracing: Tracing) -> ASGIApp | None:
    """The app's routes within OpenTelemetry's instrumentation, beside those without; None while tracing is off."""
    if tracing.provider is None:
        return None
    from opentelemetry.instrumentation.fastapi import (
        FastAPIInstrumentor,
    )  # costs memory that only tracing is worth

    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing.provider, exclude_spans=["receive", "send"])
    return app.build_middleware_stack()
