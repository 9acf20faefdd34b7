"""Every metric as data, from the metrics themselves: for docs/metrics.md, and for the test that pins them."""

from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client import Counter
from prometheus_client.metrics import MetricWrapperBase

from app.api import request_metrics
from app.telemetry import metrics


def described() -> list[dict[str, Any]]:
    """Name as a query has it, type, labels and help of each, in the order of app/telemetry/metrics.py."""
    return [_described(metric) for metric in _all()]


def markdown() -> str:
    """A row a metric."""
    rows = [_row(**each) for each in described()]
    return "\n".join(["| metric | type | labels | what |", "|---|---|---|---|", *rows])


def _row(name: str, type: str, labels: Sequence[str], help: str) -> str:  # noqa: A002 - as Prometheus calls them
    return f"| `{name}` | {type} | {', '.join(f'`{label}`' for label in labels)} | {help} |"


def _all() -> Iterator[MetricWrapperBase]:
    for value in (*vars(metrics).values(), *request_metrics.STANDARD.made.values()):
        if isinstance(value, MetricWrapperBase):
            yield value


def _described(metric: MetricWrapperBase) -> dict[str, Any]:
    [family] = metric.describe()
    return {
        "name": f"{family.name}_total" if isinstance(metric, Counter) else family.name,
        "type": family.type,
        "labels": list(metric._labelnames),  # noqa: SLF001 - a series of it would tell, and there may be none yet
        "help": family.documentation.strip(),
    }
