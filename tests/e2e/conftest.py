"""Run by `make e2e`, against the cluster of `make kind-up`."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.e2e import cluster
from tests.e2e.cluster import CHART, INSTALLED, SCRATCH, Release, eventually, forwarded, kubectl, run

INCLUSTER = Path(__file__).parent / "incluster"

if os.environ.get("AGENT_API_E2E") != "1":
    collect_ignore_glob = ["test_*.py"]

SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@pytest.fixture(scope="session", autouse=True)
def scratch() -> Iterator[None]:
    """An empty namespace that enforces the restricted Pod Security Standard."""
    kubectl("delete", "namespace", SCRATCH, "--ignore-not-found", "--wait", namespace="default")
    kubectl("create", "namespace", SCRATCH, namespace="default")
    kubectl("label", "namespace", SCRATCH, "pod-security.kubernetes.io/enforce=restricted", namespace="default")
    scripts = [f"--from-file={path}" for path in sorted(INCLUSTER.glob("*.py"))]
    kubectl("create", "configmap", "scripts", *scripts)
    yield
    kubectl("delete", "namespace", SCRATCH, "--wait=false", namespace="default")


@pytest.fixture(scope="session")
def released_image() -> str:
    """The image just built under the tag that the chart's default values name, on the node."""
    version = yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"]
    run("docker", "tag", "agent-api:dev", f"agent-api:{version}")
    run("kind", "load", "docker-image", f"agent-api:{version}", "--name", "agent-api")
    return f"agent-api:{version}"


@pytest.fixture
def release(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Release]]:
    """Releases by name, which are uninstalled when the test ends."""
    made: list[Release] = []

    def make(name: str) -> Release:
        made.append(Release(name))
        return made[-1]

    yield make
    for one in made:
        one.uninstall()


@pytest.fixture(scope="session")
def api() -> Iterator[str]:
    """The API of the release that `make kind-up` installed."""
    with forwarded(INSTALLED, 8000, INSTALLED) as url:
        yield url


@pytest.fixture(scope="session")
def jaeger() -> Iterator[str]:
    with forwarded("jaeger", 16686, "platform") as url:
        yield url


@pytest.fixture(scope="session")
def prometheus() -> Iterator[str]:
    with forwarded("prometheus", 9090, "platform") as url:
        yield url


def script_pod(name: str, *command: str) -> dict[str, Any]:
    """A pod of the service's image that runs one of the scripts in incluster/."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 1,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [
                {
                    "name": name,
                    "image": "agent-api:dev",
                    "command": ["python", "-u", *command],
                    "securityContext": SECURITY,
                    "volumeMounts": [
                        {"name": "scripts", "mountPath": "/scripts"},
                        {"name": "tmp", "mountPath": "/tmp"},
                    ],
                }
            ],
            "volumes": [{"name": "scripts", "configMap": {"name": "scripts"}}, {"name": "tmp", "emptyDir": {}}],
        },
    }


@pytest.fixture(scope="module")
def slow_model() -> Iterator[str]:
    """The address of a model server in the cluster that streams as slowly as it is told."""
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "slow-model"},
        "spec": {"selector": {"app": "slow-model"}, "ports": [{"port": 8000}]},
    }
    manifests = [script_pod("slow-model", "/scripts/slow_model.py"), service]
    kubectl("apply", "-f", "-", text=yaml.safe_dump_all(manifests))
    kubectl("wait", "pod/slow-model", "--for=condition=Ready", "--timeout=60s")
    yield "http://slow-model:8000/v1"
    kubectl("delete", "pod,service", "slow-model")


class Load:
    """A load generator in the cluster; see incluster/load.py."""

    def __init__(self, url: str, plain_per_second: int, open_streams: int) -> None:
        command = ("/scripts/load.py", url, str(plain_per_second), str(open_streams), "/tmp/stop")
        kubectl("apply", "-f", "-", text=yaml.safe_dump(script_pod("load", *command)))
        eventually("the load has started", 60, lambda: "started" in kubectl("logs", "load"))

    def stop(self) -> dict[str, Any]:
        """What was sent and what came of it."""
        kubectl("exec", "load", "--", "python", "-c", "open('/tmp/stop', 'w').close()")
        kubectl("wait", "pod/load", "--for=jsonpath={.status.phase}=Succeeded", "--timeout=120s")
        result: dict[str, Any] = json.loads(kubectl("logs", "load").strip().splitlines()[-1])
        return result


@pytest.fixture
def load() -> Iterator[Callable[..., Load]]:
    yield Load
    cluster.kubectl("delete", "pod", "load", "--ignore-not-found", "--wait")
