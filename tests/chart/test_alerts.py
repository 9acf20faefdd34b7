"""The alerts as a release has them. What they do is tried in tests/observability."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.chart.conftest import CHART, ROOT, Render


def rules(render: Render, **values: Any) -> list[dict[str, Any]]:
    groups = render(metrics={"prometheusRule": {"enabled": True, **values}}).one("PrometheusRule")["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def test_the_rules_of_the_local_cluster_are_the_charts() -> None:
    command = [sys.executable, "-m", "scripts.chart_alerts", "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_release_looks_at_its_own_series_alone(render: Render) -> None:
    for rule in rules(render):
        for matchers in re.findall(r"agent_\w+\{([^}]*)\}", rule["expr"]):
            assert matchers.startswith('namespace="agents",service="agent-api-metrics"'), rule["alert"]
        for matchers in re.findall(r"kube_\w+\{([^}]*)\}", rule["expr"]):
            assert matchers == 'namespace="agents",horizontalpodautoscaler=~"(keda-hpa-)?agent-api"'


def test_matchers_of_ones_own_are_those_of_every_series(render: Render) -> None:
    for rule in rules(render, matchers='job="pods",app="x"'):
        for matchers in re.findall(r"agent_\w+\{([^}]*)\}", rule["expr"]):
            assert matchers.startswith('job="pods",app="x"'), rule["alert"]


def test_each_alert_says_how_bad_it_is_and_what_to_read(render: Render) -> None:
    for rule in rules(render, runbookUrl="https://wiki.example/agent-api"):
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert rule["annotations"]["runbook_url"] == f"https://wiki.example/agent-api#{rule['alert'].lower()}"


@pytest.mark.parametrize(
    ("name", "value", "alert"),
    [
        ("sloPercent", 99.9, "AgentApiErrorBudgetBurnsFast"),
        ("minimumCases", 17, "AgentApiErrors"),
        ("errorRatio", 0.17, "AgentApiErrors"),
        ("latencySeconds", 17, "AgentApiSlow"),
        ("firstContentSeconds", 17, "AgentApiFirstContentSlow"),
        ("modelErrorRatio", 0.17, "AgentApiModelFailing"),
        ("fallbackRatio", 0.17, "AgentApiFallbacks"),
        ("toolRatio", 0.17, "AgentApiToolFailing"),
        ("queueSeconds", 17, "AgentApiRunQueueOld"),
        ("webhookErrorRatio", 0.17, "AgentApiWebhooksFailing"),
        ("runUsd", 17, "AgentApiRunsDear"),
        ("contextRatio", 0.17, "AgentApiContextNearlyFull"),
        ("completedRatio", 0.17, "AgentApiTasksNotCompleted"),
        ("escalatedRatio", 0.17, "AgentApiEscalations"),
        ("budgetRatio", 0.17, "AgentApiBudgetNearlySpent"),
        ("budgetScopes", "user", "AgentApiBudgetSpent"),
        ("droppedRatio", 0.17, "AgentApiTelemetryDropped"),
    ],
)
def test_a_threshold_is_the_users(render: Render, name: str, value: Any, alert: str) -> None:
    [rule, *_] = [one for one in rules(render, thresholds={name: value}) if one["alert"] == alert]
    assert str(value) in rule["expr"]


def test_what_stands_in_the_template_is_what_stands_in_the_values(render: Render) -> None:
    """An upgrade with the values of an older chart has none of the thresholds."""
    assert rules(render) == rules(render, thresholds=None, matchers=None, runbookUrl=None)
    assert "thresholds:" in (CHART / "values.yaml").read_text()


def test_the_dashboard_leads_to_the_same_runbooks(render: Render) -> None:
    metrics = {"prometheusRule": {"runbookUrl": "https://wiki.example/agent-api"}, "dashboard": {"enabled": True}}
    [text] = [
        next(iter(one["data"].values()))
        for one in render(metrics=metrics).of("ConfigMap")
        if "agent-api.json" in one["data"]
    ]
    links = {link["url"] for panel in json.loads(text)["panels"] for link in panel.get("links", [])}
    assert len(links) > 15
    assert all(url.startswith("https://wiki.example/agent-api#agentapi") for url in links)
