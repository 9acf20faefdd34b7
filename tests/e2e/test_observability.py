"""From the alert to the cause, as scripts/see-it and docs/observability.md show it: a model that users name fails."""

import json
import math
import os
import subprocess
import time
import urllib.parse
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.cluster import ROOT, eventually, fetch, kubectl
from tests.observability.dashboard import asked
from tests.observability.expressions import OTHERS, reads

NAMESPACE = f"agent-api-see-{int(time.time())}"  # Prometheus remembers those before
# What a model means that half of the users name and for which another one answers the other half, at once or later.
RIGHT = {
    "AgentApiErrorBudgetBurnsFast",
    "AgentApiErrorBudgetBurnsSlowly",
    "AgentApiErrors",
    "AgentApiModelFailing",
    "AgentApiBreakerOpen",
    "AgentApiFallbacks",
}
# Nobody here calls a tool, marks an answer, asks for `auto`, or is answered from the cache.
UNUSED = (
    "agent_cache_",
    "agent_routed_",
    "agent_tool_",
    "agent_feedback_",
    "agent_run_context_ratio",
    "agent_telemetry_",
)
ELSEWHERE = set(OTHERS) - {"ALERTS"}


@pytest.fixture(scope="module")
def see(prometheus: str, jaeger: str) -> Iterator[Any]:
    """A step of the script, with the release and its users up."""
    given = {
        "PROMETHEUS_PORT": prometheus.rpartition(":")[2],
        "JAEGER_PORT": jaeger.rpartition(":")[2],
        "SEE_NAMESPACE": NAMESPACE,
    }

    def step(name: str) -> str:
        command = [str(ROOT / "scripts" / "see-it"), name]
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=300, env={**os.environ, **given}
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    step("up")
    yield step
    kubectl("delete", "namespace", NAMESPACE, "--wait=false", namespace="default")


def data(url: str, path: str, **parameters: Any) -> Any:
    return json.loads(fetch(f"{url}{path}?{urllib.parse.urlencode(parameters)}"))["data"]


def firing(prometheus: str) -> set[str]:
    """The alerts of the namespace. A pending one may be a single probe that failed: that is what it waits for."""
    found = data(prometheus, "/api/v1/alerts")["alerts"]
    return {
        one["labels"]["alertname"]
        for one in found
        if one["labels"].get("namespace") == NAMESPACE and one["state"] == "firing"
    }


def test_the_right_alerts_fire_and_lead_to_the_failing_model(see: Any, prometheus: str) -> None:
    answered = f'sum(agent_runs_total{{namespace="{NAMESPACE}",outcome="ok"}}) > 20'
    eventually("users are answered", 60, lambda: data(prometheus, "/api/v1/query", query=answered)["result"])
    assert firing(prometheus) == set()
    see("break")
    shown = see("show")
    print(shown)
    assert "FIRING AgentApiErrorBudgetBurnsFast (critical)" in shown
    assert firing(prometheus) <= RIGHT
    _, which, since, case, spans, user = shown.split("\n==> ")[-6:]
    assert "openai/flaky  overloaded" in which
    assert "openai/flaky  first failed about" in since
    trace = case.strip().splitlines()[-1]
    assert len(trace) == 32
    assert "chat flaky" in spans
    assert '"outcome":"failed_model"' in user
    assert "openai/steady  $" in user


def test_the_dashboard_has_data_and_none_that_is_no_number(see: Any, prometheus: str) -> None:
    empty = []
    for one in asked():
        query = one.now(NAMESPACE)
        found = data(prometheus, "/api/v1/query", query=query)["result"]
        assert all(math.isfinite(float(series["value"][1])) for series in found), query
        read = {read.metric for read in reads(query)}
        if not found and not read & ELSEWHERE and not any(name.startswith(UNUSED) for name in read):
            empty.append(query)
    assert not empty, "\n".join(empty)


def test_the_trace_of_every_exemplar_is_in_jaeger(see: Any, prometheus: str, jaeger: str) -> None:
    """At the latest some seconds later: spans leave the service every five."""
    now = time.time()
    selector = f'{{__name__=~"agent_.*|http_.*",namespace="{NAMESPACE}"}}'
    found = data(prometheus, "/api/v1/query_exemplars", query=selector, start=now - 90, end=now)
    traces = {one["labels"]["trace_id"] for series in found for one in series["exemplars"]}
    assert len(traces) > 5
    for trace in traces:
        eventually(f"{trace} is in Jaeger", 20, lambda: data(jaeger, f"/api/traces/{trace}")[0]["spans"])  # noqa: B023
