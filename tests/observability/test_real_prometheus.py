"""The dashboard, the runbooks' queries and the alerts, asked of a real Prometheus under a real load."""

import math
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
import yaml

from tests.observability.conftest import RULES
from tests.observability.dashboard import asked
from tests.observability.expressions import OTHERS, reads
from tests.observability.prometheus import LABELS, NAMESPACE, Prometheus, program
from tests.observability.runbooks import queries
from tests.resilience.provider import Provider
from tests.service import Service
from tests.telemetry.collector import Collector

LOAD_SECONDS = 4.0
WINDOW = "30s"
ELSEWHERE = set(OTHERS) - {"ALERTS", "up", "scrape_duration_seconds"}
MODELS = ("openai/503", "openai/gpt-4o", "demo")


def ask_everything(client: httpx.Client, end: float) -> None:
    """Each kind of request in turn: answered by the second model, cached, streamed, with a tool, routed, refused."""
    number = 0
    while time.monotonic() < end:
        number += 1
        answer = client.post("/chat", json={"message": f"Hello {number}"})
        client.post("/feedback", json={"run_id": answer.json()["run_id"], "completed": number % 9 != 0, "score": 0.8})
        client.post("/chat", json={"message": "What is asked again and again?", "model": "demo"})
        client.post("/chat/stream", json={"message": f"Tell me a story {number}", "model": "openai/gpt-4o"})
        client.post("/chat/stream", json={"message": f"Tell me a story {number}", "model": "demo"})
        client.post("/agent/run", json={"query": f"What is {number} * 7?", "model": "demo"})
        client.post("/chat", json={"message": f"A plain question {number}", "model": "auto"})
        client.post("/chat", json={"message": "Hello", "model": "openai/503"})
        client.post("/chat", json={"message": 7})


def load(service: Service) -> None:
    end = time.monotonic() + LOAD_SECONDS
    with ThreadPoolExecutor(2) as pool:
        clients = [service.new_client() for _ in range(2)]
        for done in [pool.submit(ask_everything, client, end) for client in clients]:
            done.result()
        for client in clients:
            client.close()


def all_numbers(found: list[dict[str, Any]]) -> bool:
    return all(math.isfinite(float(series["value"][1])) for series in found)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as one:
        yield one


@pytest.fixture(scope="module")
def prometheus(tmp_path_factory: pytest.TempPathFactory, collector: Collector) -> Iterator[Prometheus]:
    """It has seen all of the load when it is given."""
    folder = tmp_path_factory.mktemp("prometheus")
    command = program(folder)
    if not command:
        pytest.skip("neither prometheus on PATH nor its image in the local image store")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Provider() as provider, Prometheus(command, folder, f"127.0.0.1:{port}") as one:
        service = Service(
            folder / "service",
            metrics_port=port,
            models=",".join(MODELS),
            openai_base_url=f"{provider.url}/v1",
            unknown_price="allow",
            model_options='{"openai/gpt-4o": {"context_window": 8192}}',
            answer_cache="true",
            model_tiers='{"simple": "demo", "complex": "openai/gpt-4o"}',
            budget_global_day_usd=100,
            otel_exporter_otlp_endpoint=collector.endpoint,
            otel_bsp_schedule_delay=200,
        )
        service.may_log_errors = True
        try:
            one.wait_for("up == 1")
            load(service)
            one.wait_for(f"sum(agent_runs_total) >= {len(service.log('request', outcome='ok'))}")
            yield one
        finally:
            service.end()


def test_each_panel_has_data_and_none_that_is_no_number(prometheus: Prometheus) -> None:
    empty, no_numbers = [], []
    for one in asked():
        query = one.now(NAMESPACE, WINDOW)
        found = prometheus.ask(query)
        if not all_numbers(found):
            no_numbers.append(query)
        if not found and not {read.metric for read in reads(query)} & ELSEWHERE:
            empty.append(query)
    assert not no_numbers, "\n".join(no_numbers)
    assert not empty, "\n".join(empty)


def test_each_query_of_the_runbooks_runs(prometheus: Prometheus) -> None:
    for alert, query in queries():
        assert all_numbers(prometheus.ask(query)), f"{alert}: {query}"


def test_the_rules_are_evaluated_without_an_error(prometheus: Prometheus) -> None:
    groups = prometheus._data("/api/v1/rules")["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len(rules) == sum(len(group["rules"]) for group in yaml.load(RULES.read_text(), yaml.CSafeLoader)["groups"])
    assert {rule["health"] for rule in rules} == {"ok"}


def test_the_trace_of_each_exemplar_was_kept(prometheus: Prometheus, collector: Collector) -> None:
    found = prometheus.exemplars('{__name__=~"agent_.*|http_.*"}')
    assert found
    kept = {span.trace_id for span in collector.spans}
    assert {exemplar["labels"]["trace_id"] for exemplar in found} <= kept


def test_the_series_have_what_the_tests_think_a_target_adds(prometheus: Prometheus) -> None:
    [series] = prometheus.ask("agent_active_requests")
    assert LABELS.items() <= series["metric"].items()
