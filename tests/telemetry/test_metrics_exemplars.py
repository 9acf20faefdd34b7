"""Exemplars: from a measurement to its trace, if that trace is kept."""

from collections.abc import Iterator

import httpx
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import REGISTRY
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from app.api.request_metrics import count
from app.models.call_records import record_first_token
from app.telemetry.context import current
from app.telemetry.exemplars import exemplar
from app.telemetry.recording import Worth
from tests.conftest import Serve
from tests.service import Service
from tests.telemetry.collector import Collector
from tests.telemetry.recorded import traced_to

SAMPLED = "5" * 32
UNSAMPLED = "6" * 32


def traces_of(text: str) -> dict[str, set[str]]:
    """The trace ids that exemplars name, by metric."""
    found: dict[str, set[str]] = {}
    for family in text_string_to_metric_families(text):  # type: ignore[no-untyped-call]
        for sample in family.samples:
            if sample.exemplar is not None:
                assert sample.exemplar.labels.keys() == {"trace_id"}
                found.setdefault(family.name, set()).add(sample.exemplar.labels["trace_id"])
    return found


@pytest.fixture
def open_metrics(demo: Service) -> str:
    return httpx.get(demo.metrics_url, headers={"Accept": "application/openmetrics-text"}, trust_env=False).text


def observe(trace_id: str, *, sampled: bool) -> None:
    worth = None if sampled else Worth(slow_seconds=60, dear_usd=1)
    token = current.set(traced_to(InMemorySpanExporter(), trace_id, worth=worth))
    try:
        count({}, "GET", 200, 0.2)
        record_first_token("exemplary", 0.1)
    finally:
        current.reset(token)


def test_a_measurement_names_its_trace_if_that_is_kept() -> None:
    observe(SAMPLED, sampled=True)
    observe(UNSAMPLED, sampled=False)
    found = traces_of(generate_latest(REGISTRY).decode())  # type: ignore[no-untyped-call]
    for name in (
        "agent_requests",
        "agent_request_latency_seconds",
        "http_requests",
        "http_request_duration_seconds",
        "agent_time_to_first_token_seconds",
    ):
        assert SAMPLED in found[name]
    assert not any(UNSAMPLED in traces for traces in found.values())


def test_outside_of_a_request_there_is_none() -> None:
    assert exemplar() is None


def test_without_tracing_there_are_none(demo: Service, open_metrics: str) -> None:
    assert traces_of(open_metrics) == {}
    assert "agent_requests_total" in open_metrics


def test_no_series_tells_when_it_was_made(open_metrics: str) -> None:
    assert "_created" not in open_metrics


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def test_every_exemplar_leads_to_a_trace_that_the_collector_has(serve: Serve, collector: Collector) -> None:
    service = serve(
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
        otel_traces_sampler="parentbased_traceidratio",
        otel_traces_sampler_arg=0.5,
        anonymous_per_minute="off",
    )
    for number in range(10):
        service.chat(f"What is 6 * {number}?", stream=number % 2 == 0)
        service.ask("GET", "/sessions")
        service.ask("GET", f"/unknown-{number}")
    answer = service.client.get(service.metrics_url, headers={"Accept": "application/openmetrics-text"})
    found = traces_of(answer.text)
    service.end()  # which exports what is left
    kept = {span.trace_id for span in collector.spans}
    assert found.keys() >= {
        "agent_requests",
        "agent_request_latency_seconds",
        "agent_run_cost_usd",
        "agent_run_latency_seconds",
        "agent_runs",
        "agent_time_to_first_token_seconds",
        "agent_tool_calls",
        "http_request_duration_seconds",
    }
    assert set().union(*found.values()) <= kept


def test_exemplars_of_late_traces_lead_to_them_and_other_requests_have_none(serve: Serve, collector: Collector) -> None:
    service = serve(
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
        otel_traces_sampler="parentbased_traceidratio",
        otel_traces_sampler_arg=0,
        trace_dear_usd=0,  # every run is worth it
    )
    run = service.chat("What is 6 * 7?").json()["trace_id"]
    for number in range(5):
        service.ask("GET", f"/unknown-{number}")
    answer = service.client.get(service.metrics_url, headers={"Accept": "application/openmetrics-text"})
    found = traces_of(answer.text)
    service.end()
    assert found["agent_runs"] == found["agent_run_latency_seconds"] == found["agent_requests"] == {run}
    assert set().union(*found.values()) == {run}
    assert run in {span.trace_id for span in collector.spans}
