"""What watches HTTP: our metrics, and OpenTelemetry's FastAPI instrumentation for the requests that are sampled."""

from functools import lru_cache

from fastapi import FastAPI
from prometheus_client import Counter, Histogram
from starlette.middleware.errors import ServerErrorMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.api.problems import REFUSALS, answer_to
from app.telemetry import metrics
from app.telemetry.traces import Tracing

_QUERY = "agent_api.query_string"
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(scope: Scope, method: str, status: int, seconds: float) -> None:
    """Count and time a request by its route's template, its method and status; unknown paths are `none`."""
    route = scope.get("route")
    endpoint = "none" if route is None else route.path
    requests, latency = _series(endpoint, method if method in _METHODS else "other", status)
    requests.inc()
    latency.observe(seconds)


def count_refused(status: int) -> None:
    """Count what was refused before it was a request."""
    requests, latency = _series("none", "other", status)
    requests.inc()
    latency.observe(0.0)


@lru_cache(maxsize=1024)
def _series(endpoint: str, method: str, status: int) -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(endpoint, method, str(status)), metrics.REQUEST_LATENCY.labels(endpoint)


def trace_requests(app: FastAPI, serve: ASGIApp, tracing: Tracing) -> ASGIApp:
    """`serve`, the app's routes, within OpenTelemetry's instrumentation; as it is while tracing is off."""
    if tracing.provider is None:
        return serve
    from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor  # costs memory that only tracing is worth

    async def answered(scope: Scope, receive: Receive, send: Send) -> None:
        """The instrumentation has to see the status of a refusal, and no exception."""
        scope["query_string"] = scope.pop(_QUERY)
        try:
            await serve(scope, receive, send)
        except REFUSALS as error:
            await answer_to(error, scope)(scope, receive, send)

    # The instrumentation wraps what the app builds around its routes.
    app.build_middleware_stack = lambda: ServerErrorMiddleware(answered)  # type: ignore[method-assign]
    FastAPIInstrumentor.instrument_app(app, tracer_provider=tracing.provider, exclude_spans=["receive", "send"])
    instrumented = app.build_middleware_stack()

    async def without_query(scope: Scope, receive: Receive, send: Send) -> None:
        """A query may hold what nobody should read in a trace; spans get none."""
        scope[_QUERY], scope["query_string"] = scope["query_string"], b""
        await instrumented(scope, receive, send)

    return without_query
