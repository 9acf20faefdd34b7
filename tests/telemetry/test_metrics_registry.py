"""Every metric by name, type, labels and help, as tests/telemetry/metrics.json has it: dashboards and alerts rely on
them, so nobody renames one by accident. UPDATE_GOLDEN=1 accepts what there is now; the diff is part of the change."""

import json
import os
import re
from pathlib import Path

import pytest
from prometheus_client import REGISTRY

from app.runs.outcome import OUTCOMES
from app.telemetry import known_series, metrics
from scripts import metric_docs

GOLDEN = Path(__file__).parent / "metrics.json"
FOREIGN = ("python_", "process_")  # the Prometheus client's own
NEVER = re.compile("user|session|key|tenant|path|url|message|text|query|id$|address|host|peer|ip$")


def test_the_metrics_are_those_that_dashboards_and_alerts_were_made_for() -> None:
    described = metric_docs.described()
    if os.environ.get("UPDATE_GOLDEN"):
        lines = ",\n".join(json.dumps(each, ensure_ascii=False) for each in described)
        GOLDEN.write_text(f"[\n{lines}\n]\n")
    assert described == json.loads(GOLDEN.read_text())


def test_no_metric_is_registered_elsewhere() -> None:
    listed = {re.sub("_total$", "", each["name"]) for each in metric_docs.described()}
    registered = {family.name for family in REGISTRY.collect() if not family.name.startswith(FOREIGN)}
    assert registered == listed


def test_labels_are_short_words_and_none_is_about_somebody() -> None:
    labels = {label for each in metric_docs.described() for label in each["labels"]}
    assert [label for label in labels if NEVER.search(label) or not re.fullmatch("[a-z]{2,10}", label)] == []


def test_names_have_the_units_that_prometheus_recommends() -> None:
    for each in metric_docs.described():
        if each["type"] in ("histogram", "summary"):
            assert each["name"].endswith(("_seconds", "_usd", "_ratio", "_bytes", "_score")), each
        assert not each["name"].endswith(("_ms", "_milliseconds", "_kb")), each
        assert (each["type"] == "counter") == each["name"].endswith("_total"), each


@pytest.mark.parametrize(
    ("name", "bound"),
    [("RUN_LATENCY", 10), ("REQUEST_LATENCY", 10), ("RUN_COST", 0.5), ("RUN_CONTEXT_RATIO", 0.8)],
)
def test_what_alerts_compare_with_is_a_bucket(name: str, bound: float) -> None:
    assert bound in getattr(metrics, name)._kwargs["buckets"]


def test_the_outcomes_that_start_at_zero_are_those_of_runs() -> None:
    assert known_series.RUN_OUTCOMES == OUTCOMES
