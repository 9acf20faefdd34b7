"""Metrics of requests: how many, how long they take, and HTTP's standard series that dashboards are made for."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from fastapi.routing import APIRoute
from msgspec import Struct
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, Summary
from prometheus_client.registry import Collector
from prometheus_fastapi_instrumentator.metrics import default
from starlette.routing import BaseRoute
from starlette.types import Scope

from app.telemetry import metrics
from app.telemetry.exemplars import exemplar

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_NOTHING_SENT = 500  # what prometheus-fastapi-instrumentator takes it for
_MAX_DIGITS = 12  # of a length that is believed: one that somebody made up would spoil the sum
_UNKNOWN = "none"


class _Standard(CollectorRegistry):
    """Passes on what is registered, and keeps it by name: prometheus-fastapi-instrumentator makes its series here. Its
    own function looks up five children for each request, which is most of what it costs."""

    def __init__(self) -> None:
        super().__init__()
        self.made: dict[str, Any] = {}

    def register(self, collector: Collector) -> None:
        REGISTRY.register(collector)
        self.made[next(iter(collector.collect())).name] = collector


STANDARD = _Standard()
default(registry=STANDARD)
_TOTAL: Counter = STANDARD.made["http_requests"]
_DURATION: Histogram = STANDARD.made["http_request_duration_seconds"]
_ANY_DURATION: Histogram = STANDARD.made["http_request_duration_highr_seconds"]
_RECEIVED: Summary = STANDARD.made["http_request_size_bytes"]
_SENT: Summary = STANDARD.made["http_response_size_bytes"]


class _Series(Struct, frozen=True):
    """Those of one route, method and status."""

    requests: Counter
    latency: Histogram
    total: Counter
    duration: Histogram
    received: Summary
    sent: Summary


def start_at_zero(routes: Iterable[BaseRoute]) -> None:
    """Make the series of these routes, with the statuses that they document."""
    for route in routes:
        if isinstance(route, APIRoute):
            for method in route.methods or ():
                for status in {route.status_code or 200, 500, *route.responses}:
                    _series(route.path, method, int(status))


def count(
    scope: Scope,
    method: str,
    status: int,
    seconds: float,
    outcome: str = "",
    received: bytes = b"",
    sent: bytes = b"",
) -> None:
    """Count and time a request by its route's template, its method and status; unknown paths are `none`.

    `outcome` is that of the run that it asked for. `received` and `sent` are the `Content-Length` of the request and
    its answer, empty where there is none.
    """
    route = scope.get("route")
    endpoint = _UNKNOWN if route is None else route.path
    series = _series(endpoint, method if method in _METHODS else "other", status, outcome)
    trace = exemplar()
    series.requests.inc(1, trace)
    series.latency.observe(seconds, trace)
    series.total.inc(1, trace)
    series.duration.observe(seconds, trace)
    _ANY_DURATION.observe(seconds, trace)
    series.received.observe(_length(received))
    series.sent.observe(_length(sent))


def count_refused(status: int) -> None:
    """Count what was refused before it was a request."""
    count({}, "", status, 0.0)


def _length(header: bytes) -> int:
    return int(header) if header.isdigit() and len(header) <= _MAX_DIGITS else 0


@lru_cache(maxsize=1024)
def _series(endpoint: str, method: str, status: int, outcome: str = "") -> _Series:
    return _Series(
        metrics.REQUESTS.labels(endpoint, method, str(status), outcome),
        metrics.REQUEST_LATENCY.labels(endpoint),
        _TOTAL.labels(method, f"{(status or _NOTHING_SENT) // 100}xx", endpoint),
        _DURATION.labels(method, endpoint),
        _RECEIVED.labels(endpoint),
        _SENT.labels(endpoint),
    )
