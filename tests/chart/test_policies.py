"""Which connections the NetworkPolicy lets through, by a policy engine: the local cluster's network enforces none."""

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.chart.conftest import Render, Rendered

ENGINE = Path(__file__).parent / "policies"

pytestmark = pytest.mark.skipif(
    os.environ.get("REQUIRE_CHART_TOOLS") != "1", reason="make helm-lint builds the engine with Go"
)

Peer = dict[str, Any]
Asked = tuple[Peer, int | str]


def pod(namespace: str, **labels: str) -> Peer:
    own = {"kubernetes.io/metadata.name": namespace}
    return {"ip": "10.244.0.9", "namespace": namespace, "namespaceLabels": own, "podLabels": labels}


OUTSIDE = {"ip": "203.0.113.7"}
DNS = pod("kube-system", **{"k8s-app": "kube-dns"})
PROMETHEUS = pod("monitoring", **{"app.kubernetes.io/name": "prometheus"})
INGRESS = pod("ingress-nginx", app="controller")
NEIGHBOUR = pod("agents", app="other")
VALKEY = pod("platform", app="valkey")
ROUTER = pod("models", app="router")
COLLECTOR = pod("platform", app="jaeger")

FROM_INGRESS = {"networkPolicy": {"apiFrom": [{"namespaceSelector": {"matchLabels": INGRESS["namespaceLabels"]}}]}}
VLLM = {"models": ["openai/x"], "openai": {"baseUrl": "http://router.models/v1"}}

NAMED = {"http": 8000, "metrics": 9090}


@pytest.fixture(scope="session")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The engine's program."""
    go = shutil.which("go")
    assert go, "make helm-lint needs Go for the policy engine"
    made = tmp_path_factory.mktemp("engine") / "policies"
    built = subprocess.run([go, "build", "-o", str(made), "."], cwd=ENGINE, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr
    return made


@pytest.fixture
def allowed(engine: Path, render: Render) -> Callable[..., list[bool]]:
    """Whether a pod of the release rendered with some values may reach peers (`out`) or be reached by them."""

    def ask(values: dict[str, Any], asked: list[Asked], *, out: bool) -> list[bool]:
        rendered = render(**values)
        api = pod("agents", **labels_of(rendered))
        connections = [connection(api, peer, port, out=out) for peer, port in asked]
        question = json.dumps({"policies": rendered.of("NetworkPolicy"), "connections": connections})
        done = subprocess.run([engine], input=question, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return [verdict["out" if out else "in"] for verdict in json.loads(done.stdout)]

    return functools.partial(ask)


def labels_of(rendered: Rendered) -> dict[str, str]:
    labels: dict[str, str] = rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]
    return labels


def connection(api: Peer, peer: Peer, port: int | str, *, out: bool) -> dict[str, Any]:
    """`port` is the listening pod's: a number, a name of ours, or `53/UDP`."""
    number, _, protocol = str(port).partition("/")
    return {
        "from": api if out else peer,
        "to": peer if out else api,
        "port": NAMED.get(number) or int(number),
        "portName": number if number in NAMED else "",
        "protocol": protocol or "TCP",
    }


@pytest.mark.parametrize(
    ("values", "peer", "port", "expected"),
    [
        ({}, OUTSIDE, "http", True),
        ({}, NEIGHBOUR, "http", True),
        ({}, NEIGHBOUR, "metrics", False),
        ({}, NEIGHBOUR, 11434, False),
        (FROM_INGRESS, INGRESS, "http", True),
        (FROM_INGRESS, OUTSIDE, "http", False),
        ({"networkPolicy": {"metricsNamespace": "monitoring"}}, PROMETHEUS, "metrics", True),
        ({"networkPolicy": {"metricsNamespace": "monitoring"}}, NEIGHBOUR, "metrics", False),
        ({"networkPolicy": {"metricsFrom": [{"podSelector": {}}]}}, NEIGHBOUR, "metrics", True),
        ({"networkPolicy": {"metricsFrom": [{"podSelector": {}}]}}, PROMETHEUS, "metrics", False),
    ],
)  # fmt: skip
def test_who_reaches_the_pods(
    allowed: Callable[..., list[bool]], values: dict[str, Any], peer: Peer, port: int | str, expected: bool
) -> None:
    assert allowed(values, [(peer, port)], out=False) == [expected]


@pytest.mark.parametrize(
    ("values", "peer", "port", "expected"),
    [
        ({}, DNS, "53/UDP", True),
        ({}, DNS, "53/TCP", True),
        ({}, DNS, "5353/UDP", False),
        ({"networkPolicy": {"dnsPorts": [5353]}}, DNS, "5353/UDP", True),
        ({}, OUTSIDE, 443, False),
        ({}, VALKEY, 6379, False),
        ({"redis": {"url": "redis://valkey.platform:6379/0"}}, VALKEY, 6379, True),
        ({"redis": {"existingSecret": "s", "port": 6380}}, VALKEY, 6380, True),
        ({"tracing": {"endpoint": "http://jaeger.platform:4317"}}, COLLECTOR, 4317, True),
        ({"models": ["anthropic/x"], "anthropic": {"apiKey": "k"}}, OUTSIDE, 443, True),
        ({"models": ["openai/x"], "openai": {"apiKey": "k"}}, OUTSIDE, 443, True),
        ({"ollama": {"enabled": True}}, OUTSIDE, 443, True),
        (VLLM, ROUTER, 80, True),
        (VLLM, ROUTER, 8000, False),  # the Service's port is opened, and the policy acts on the pod's
        ({**VLLM, "networkPolicy": {"egressPorts": [8000]}}, ROUTER, 8000, True),
        ({"networkPolicy": {"extraEgress": [{"ports": [{"port": 5432, "protocol": "TCP"}]}]}}, NEIGHBOUR, 5432, True),
        ({}, OUTSIDE, 25, False),
    ],
)  # fmt: skip
def test_what_the_pods_reach(
    allowed: Callable[..., list[bool]], values: dict[str, Any], peer: Peer, port: int | str, expected: bool
) -> None:
    assert allowed(values, [(peer, port)], out=True) == [expected]


def test_without_the_policy_everything_is_open(allowed: Callable[..., list[bool]]) -> None:
    off = {"networkPolicy": {"enabled": False}}
    assert allowed(off, [(NEIGHBOUR, "metrics")], out=False) == [True]
    assert allowed(off, [(OUTSIDE, 25)], out=True) == [True]
