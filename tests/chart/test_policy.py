"""The NetworkPolicy: who may come in, and which ports are open on the way out."""

from typing import Any

import pytest

from tests.chart.conftest import Render, RenderError
from tests.chart.reading import egress_ports

MONITORED = {"metrics": {"serviceMonitor": {"enabled": True}}}
PEER = {"podSelector": {"matchLabels": {"app": "prometheus"}}}


def named(namespace: str) -> dict[str, Any]:
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}


@pytest.mark.parametrize(
    ("policy", "peers"),
    [
        ({}, None),
        ({"metricsNamespace": "monitoring"}, [named("monitoring")]),
        ({"metricsFrom": [PEER]}, [PEER]),
        ({"metricsFrom": [PEER], "metricsNamespace": "monitoring"}, [PEER, named("monitoring")]),
    ],
    ids=str,
)
def test_who_may_scrape(render: Render, policy: dict[str, Any], peers: Any) -> None:
    rules = render(**MONITORED, networkPolicy=policy).one("NetworkPolicy")["spec"]["ingress"]
    found = [rule["from"] for rule in rules if rule["ports"] == [{"port": "metrics", "protocol": "TCP"}]]
    assert found == ([] if peers is None else [peers])
    assert all(rule.get("from") != [] for rule in rules), "an empty list of peers would let everyone in"


@pytest.mark.parametrize(
    ("values", "ports"),
    [
        ({"networkPolicy": {"dnsPorts": [5353]}}, {5353}),
        ({"networkPolicy": {"dnsPorts": [53, 5353]}}, {53, 5353}),
        ({"networkPolicy": {"egressPorts": [8000]}}, {53, 8000}),
        ({"models": ["openai/m"], "openai": {"baseUrl": "http://router/v1"}}, {53, 80}),
        (
            {
                "models": ["openai/m"],
                "openai": {"baseUrl": "http://router/v1"},
                "networkPolicy": {"egressPorts": [8000]},
            },
            {53, 80, 8000},
        ),
        ({"extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy.example:3128"}]}, {53, 3128}),
        ({"extraEnv": [{"name": "REDIS_URL", "value": "redis://:p/w@valkey:6380/0"}]}, {53, 6379}),
        ({"extraEnv": [{"name": "REDIS_URL", "value": "redis://:pw@valkey:6380/0"}]}, {53, 6380}),
        ({"extraEnv": [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": "http://otel:4317"}]}, {53, 4317}),
        (
            {"ollama": {"enabled": True, "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://p:8080"}]}},
            {53, 443, 8080},
        ),
        (
            {"models": ["anthropic/m"], "anthropic": {"existingSecret": "a", "baseUrl": "http://gateway:4000"}},
            {53, 4000},
        ),
        ({"redis": {"url": "redis://[fd00::1]:6380"}}, {53, 6380}),
        ({"redis": {"url": "redis://[fd00::1]"}}, {53, 6379}),
    ],
    ids=lambda value: str(value)[:70],
)
def test_the_way_out_is_by_port(render: Render, values: dict[str, Any], ports: set[int]) -> None:
    assert egress_ports(render(**values)) == ports


def test_dns_is_open_by_udp_and_tcp(render: Render) -> None:
    [dns] = render(networkPolicy={"dnsPorts": [5353]}).one("NetworkPolicy")["spec"]["egress"]
    assert dns == {"ports": [{"port": 5353, "protocol": "UDP"}, {"port": 5353, "protocol": "TCP"}]}


@pytest.mark.parametrize(
    "policy", [{"dnsPorts": ["dns"]}, {"dnsPorts": []}, {"egressPorts": [0]}, {"egressPorts": [70_000]}]
)
def test_a_port_is_a_number(render: Render, policy: dict[str, Any]) -> None:
    with pytest.raises(RenderError, match="don't meet the specifications"):
        render(networkPolicy=policy)
