"""What a PromQL expression reads: its metrics and their labels."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import promql_parser as promql
from prometheus_client import REGISTRY

from app.api import request_metrics
from app.telemetry import metrics

# What Prometheus adds to each series of a target, as k8s/, compose and the chart's ServiceMonitor configure it.
TARGET = frozenset({"namespace", "pod", "job", "instance", "service", "release", "container"})

# What does not come from the service: Prometheus itself, kube-state-metrics, the kubelet's cAdvisor.
_AUTOSCALER = frozenset({"namespace", "horizontalpodautoscaler"})
OTHERS: dict[str, frozenset[str]] = {
    "ALERTS": frozenset({"alertname", "alertstate", "severity", "namespace"}),
    "scrape_duration_seconds": TARGET,
    "up": TARGET,
    "kube_horizontalpodautoscaler_status_current_replicas": _AUTOSCALER,
    "kube_horizontalpodautoscaler_status_desired_replicas": _AUTOSCALER,
    "kube_horizontalpodautoscaler_spec_max_replicas": _AUTOSCALER,
    "kube_pod_container_status_restarts_total": frozenset({"namespace", "pod", "container"}),
    "container_cpu_cfs_throttled_periods_total": frozenset({"namespace", "pod", "container"}),
    "container_cpu_cfs_periods_total": frozenset({"namespace", "pod", "container"}),
}


@dataclass(frozen=True, slots=True)
class Read:
    """A metric, and the labels that are matched or kept of it."""

    metric: str
    labels: frozenset[str]


def reads(expression: str) -> list[Read]:
    """Raises ValueError where the expression cannot be parsed."""
    return list(_reads(promql.parse(expression), frozenset()))


def _reads(node: Any, kept: frozenset[str]) -> Iterator[Read]:
    """`kept` are the labels that the expressions around it group or match by."""
    match node:
        case promql.VectorSelector():
            yield Read(node.name or "", kept | {one.name for one in node.matchers.matchers})
        case promql.MatrixSelector():
            yield from _reads(node.vector_selector, kept)
        case promql.AggregateExpr():
            yield from _reads(node.expr, frozenset(node.modifier.labels) if node.modifier else frozenset())
        case promql.BinaryExpr():
            matching = node.modifier.matching if node.modifier else None
            by = frozenset(matching.labels) if matching else frozenset()
            yield from _reads(node.lhs, kept | by)
            yield from _reads(node.rhs, kept | by)
        case promql.Call():
            for argument in node.args:
                yield from _reads(argument, kept)
        case promql.ParenExpr() | promql.SubqueryExpr() | promql.UnaryExpr():
            yield from _reads(node.expr, kept)
        case promql.NumberLiteral() | promql.StringLiteral():
            pass
        case _:
            raise AssertionError(f"{type(node).__name__} is not looked into")


def exported() -> dict[str, frozenset[str]]:
    """The series that a scrape of the service has, and the labels of each."""
    assert metrics.RUNS, request_metrics  # the registry is full once these are imported
    found: dict[str, frozenset[str]] = {}
    for collector, names in REGISTRY._collector_to_names.items():
        given = frozenset(getattr(collector, "_labelnames", ()))
        for name in names:
            found[name] = given | ({"le"} if name.endswith("_bucket") else set())
    for name in ("collections", "objects_collected", "objects_uncollectable"):
        found[f"python_gc_{name}_total"] = frozenset({"generation"})
    return found


def unknown(expression: str) -> list[str]:
    """What an expression reads and nothing has."""
    has = {name: labels | TARGET for name, labels in exported().items()} | OTHERS
    wrong = []
    for one in reads(expression):
        if one.metric not in has:
            wrong.append(one.metric)
        elif missing := one.labels - has[one.metric]:
            wrong.append(f"{one.metric} has no {', '.join(sorted(missing))}")
    return wrong
