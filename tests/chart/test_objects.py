"""Which objects there are, switch by switch, and what follows from the values in each."""

from typing import Any

import pytest

from tests.chart.conftest import Render, Rendered
from tests.chart.reading import egress_ports

ANYONE = {"auth": {"allowAnonymous": True}}
DEFAULT = {"ConfigMap", "Deployment", "NetworkPolicy", "Service", "ServiceAccount"}


def kinds(rendered: Rendered) -> set[str]:
    return {one["kind"] for one in rendered.manifests if one["kind"] != "Pod"}


def test_the_default_is_small(render: Render) -> None:
    assert kinds(render()) == DEFAULT


@pytest.mark.parametrize(
    ("values", "more"),
    [
        ({"autoscaling": {"enabled": True}}, {"HorizontalPodAutoscaler", "PodDisruptionBudget"}),
        ({"autoscaling": {"enabled": True, "keda": {"enabled": True}}}, {"ScaledObject", "PodDisruptionBudget"}),
        ({"replicaCount": 2}, {"PodDisruptionBudget"}),
        ({"ingress": {"enabled": True}, **ANYONE}, {"Ingress"}),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]}, **ANYONE}, {"HTTPRoute"}),
        ({"metrics": {"serviceMonitor": {"enabled": True}}}, {"ServiceMonitor"}),
        ({"metrics": {"prometheusRule": {"enabled": True}}}, {"PrometheusRule"}),
        ({"redis": {"url": "redis://a"}}, {"Secret"}),
        ({"ollama": {"enabled": True, "persistence": {"enabled": True}}}, {"PersistentVolumeClaim"}),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_a_switch_adds_its_objects(render: Render, values: dict[str, Any], more: set[str]) -> None:
    assert kinds(render(**values)) == DEFAULT | more


@pytest.mark.parametrize(
    ("values", "fewer"),
    [
        ({"networkPolicy": {"enabled": False}}, {"NetworkPolicy"}),
        ({"serviceAccount": {"create": False}}, {"ServiceAccount"}),
    ],
    ids=["networkPolicy", "serviceAccount"],
)
def test_a_switch_takes_its_objects_away(render: Render, values: dict[str, Any], fewer: set[str]) -> None:
    assert kinds(render(**values)) == DEFAULT - fewer


def test_without_an_account_of_its_own_the_pods_have_the_default_one(render: Render) -> None:
    assert render(serviceAccount={"create": False}).pod()["serviceAccountName"] == "default"
    assert render(serviceAccount={"name": "mine"}).one("ServiceAccount")["metadata"]["name"] == "mine"


def test_the_autoscaler_counts_the_service_s_own_container_and_owns_the_replicas(render: Render) -> None:
    assert render(replicaCount=3).one("Deployment")["spec"]["replicas"] == 3
    rendered = render(autoscaling={"enabled": True, "targetCPUUtilizationPercentage": 55})
    assert "replicas" not in rendered.one("Deployment")["spec"]
    spec = rendered.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"]["name"] == rendered.one("Deployment")["metadata"]["name"]
    [metric] = spec["metrics"]
    assert metric["type"] == "ContainerResource"
    assert metric["containerResource"]["container"] == rendered.app()["name"]
    assert metric["containerResource"]["target"] == {"type": "Utilization", "averageUtilization": 55}
    assert spec["behavior"]["scaleUp"]["stabilizationWindowSeconds"] == 0
    assert spec["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300


def test_requests_in_flight_are_a_metric_behind_a_switch(render: Render) -> None:
    rendered = render(autoscaling={"enabled": True, "activeRequests": {"enabled": True, "averageValue": 7}})
    metric = rendered.one("HorizontalPodAutoscaler")["spec"]["metrics"][1]["pods"]
    assert metric["metric"]["name"] == "agent_active_requests"
    assert metric["target"] == {"type": "AverageValue", "averageValue": "7"}


def test_model_calls_that_wait_are_a_metric_behind_a_switch(render: Render) -> None:
    queue = {"enabled": True, "averageValue": 3}
    rendered = render(autoscaling={"enabled": True, "queueDepth": queue}, maxConcurrentCalls=8)
    metric = rendered.one("HorizontalPodAutoscaler")["spec"]["metrics"][1]
    assert metric == {
        "type": "Pods",
        "pods": {
            "metric": {"name": "agent_model_queue_depth"},
            "target": {"type": "AverageValue", "averageValue": "3"},
        },
    }


@pytest.mark.parametrize(
    ("values", "made"),
    [
        ({"replicaCount": 1}, False),
        ({"replicaCount": 2}, True),
        ({"autoscaling": {"enabled": True, "minReplicas": 1}}, False),
        ({"autoscaling": {"enabled": True, "minReplicas": 1}, "replicaCount": 5}, False),
        ({"replicaCount": 2, "podDisruptionBudget": {"enabled": False}}, False),
    ],
)
def test_a_disruption_budget_only_where_one_pod_may_go(render: Render, values: dict[str, Any], made: bool) -> None:
    assert bool(render(**values).of("PodDisruptionBudget")) is made


def test_selectors_select_the_pods_and_not_those_of_helm_test(render: Render) -> None:
    rendered = render(replicaCount=2, metrics={"serviceMonitor": {"enabled": True}})
    labels = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        rendered.one("Deployment")["spec"]["selector"]["matchLabels"],
        rendered.one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        rendered.one("NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *[one["spec"]["selector"] for one in rendered.of("Service")],
    ]
    assert len(selectors) == 5
    tests = [one["metadata"]["labels"] for one in rendered.manifests if one["kind"] == "Pod"]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not any(selector.items() <= one.items() for one in tests)


def test_the_metrics_are_not_on_the_service_of_the_api(render: Render) -> None:
    rendered = render(service={"type": "LoadBalancer"}, metrics={"serviceMonitor": {"enabled": True}}, **ANYONE)
    services = {one["metadata"]["name"]: one["spec"] for one in rendered.of("Service")}
    assert [port["name"] for port in services["agent-api"]["ports"]] == ["http"]
    assert services["agent-api-metrics"]["clusterIP"] == "None"
    monitor = rendered.one("ServiceMonitor")["spec"]
    service = next(one for one in rendered.of("Service") if one["metadata"]["name"] == "agent-api-metrics")
    assert monitor["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({}, set()),
        ({"ollama": {"enabled": True}}, {443}),
        ({"ollama": {"url": "http://ollama:11434"}}, {11434}),
        ({"models": ["anthropic/m"], "anthropic": {"existingSecret": "a"}}, {443}),
        ({"models": ["openai/m"], "openai": {"baseUrl": "http://vllm:8000/v1"}}, {8000}),
        ({"models": ["openai/m"], "openai": {"baseUrl": "https://vllm"}}, {443}),
        ({"redis": {"url": "redis://:p%40ss@valkey:6380/0"}}, {6380}),
        ({"redis": {"url": "rediss://valkey"}}, {6379}),
        ({"redis": {"existingSecret": "a", "port": 7000}}, {7000}),
        ({"tracing": {"endpoint": "http://jaeger:4317"}}, {4317}),
    ],
)
def test_the_way_out_is_dns_and_what_is_configured(render: Render, values: dict[str, Any], ports: set[int]) -> None:
    assert egress_ports(render(**values)) == {53} | ports


def test_the_way_in_is_the_api_and_for_the_allowed_the_metrics(render: Render) -> None:
    [api] = render().one("NetworkPolicy")["spec"]["ingress"]
    assert api == {"ports": [{"port": "http", "protocol": "TCP"}]}
    peers = [{"namespaceSelector": {"matchLabels": {"name": "monitoring"}}}]
    policy = {"metricsFrom": peers, "apiFrom": [{"podSelector": {}}]}
    api, metrics = render(networkPolicy=policy).one("NetworkPolicy")["spec"]["ingress"]
    assert api["from"] == [{"podSelector": {}}]
    assert metrics == {"ports": [{"port": "metrics", "protocol": "TCP"}], "from": peers}


def test_ingress_and_route_lead_to_the_service(render: Render) -> None:
    rendered = render(
        service={"port": 80},
        ingress={
            "enabled": True,
            "hosts": [{"host": "a.example"}],
            "tls": [{"secretName": "t", "hosts": ["a.example"]}],
        },
        httpRoute={"enabled": True, "parentRefs": [{"name": "gateway"}], "hostnames": ["a.example"]},
        auth={"allowAnonymous": True},
    )
    ingress = rendered.one("Ingress")["spec"]
    [path] = ingress["rules"][0]["http"]["paths"]
    assert path == {
        "path": "/",
        "pathType": "Prefix",
        "backend": {"service": {"name": "agent-api", "port": {"name": "http"}}},
    }
    assert ingress["tls"] == [{"secretName": "t", "hosts": ["a.example"]}]
    route = rendered.one("HTTPRoute")["spec"]
    assert route["rules"][0]["backendRefs"] == [
        {"group": "", "kind": "Service", "name": "agent-api", "port": 80, "weight": 1}
    ]
    assert route["hostnames"] == ["a.example"]


def test_names_follow_the_release(render: Render) -> None:
    assert render().one("Deployment")["metadata"]["name"] == "agent-api"
    assert render(nameOverride="bot").one("Deployment")["metadata"]["name"] == "agent-api-bot"
    assert render(fullnameOverride="bot").one("Service")["metadata"]["name"] == "bot"
    for one in render(commonLabels={"team": "search"}).manifests:
        assert one["metadata"]["labels"]["team"] == "search"
        assert one["metadata"]["namespace"] == "agents"
