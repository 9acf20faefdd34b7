"""Metrics of requests: how many, and how long they take."""

from functools import lru_cache

from prometheus_client import Counter, Histogram
from starlette.types import Scope

from app.telemetry import metrics

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(scope: Scope, method: str, status: int, seconds: float, outcome: str = "") -> None:
    """Count and time a request by its route's template, its method and status; unknown paths are `none`. `outcome` is
    that of the run that it asked for."""
    route = scope.get("route")
    endpoint = "none" if route is None else route.path
    requests, latency = _series(endpoint, method if method in _METHODS else "other", status, outcome)
    requests.inc()
    latency.observe(seconds)


def count_refused(status: int) -> None:
    """Count what was refused before it was a request."""
    requests, latency = _series("none", "other", status)
    requests.inc()
    latency.observe(0.0)


@lru_cache(maxsize=1024)
def _series(endpoint: str, method: str, status: int, outcome: str = "") -> tuple[Counter, Histogram]:
    return metrics.REQUESTS.labels(endpoint, method, str(status), outcome), metrics.REQUEST_LATENCY.labels(endpoint)
