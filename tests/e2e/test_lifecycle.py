"""Install, upgrade, roll back, uninstall: with the chart's default values, and what they leave behind."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import yaml

from tests.e2e.cases import values
from tests.e2e.cluster import CHART, SCRATCH, Release, eventually, fetch, forwarded, get, helm, kubectl, run

CUSTOM = {"HTTPRoute", "PrometheusRule", "ServiceMonitor"}


def settings(one: Release) -> dict[str, str]:
    """The settings that the pods run with."""
    [pod] = one.ready_pods()
    program = "import os, json; print(json.dumps(dict(os.environ)))"
    said = kubectl("exec", pod, "--container", "agent-api", "--", "python", "-c", program)
    found: dict[str, str] = json.loads(said)
    return found


def test_the_default_values_need_nothing_else(release: Callable[[str], Release], released_image: str) -> None:
    one = release("plain")
    one.install({})
    [pod] = one.pods()
    assert pod["spec"]["containers"][0]["image"] == released_image
    with forwarded(one.fullname, 8000, SCRATCH) as url:
        assert json.loads(fetch(f"{url}/chat", {"message": "What is 6 * 7?"}))["model"] == "demo"
    assert helm("test", one.name).count("Phase:          Succeeded") == 2


def test_upgrade_rolls_the_pods_rollback_brings_the_old_ones_back_uninstall_leaves_nothing(
    release: Callable[[str], Release],
) -> None:
    one = release("cycle")
    given = {
        "image": {"tag": "dev"},
        "preStopSeconds": 1,
        "redis": {"url": "redis://valkey.platform:6379/1"},
        "ollama": {
            "enabled": True,
            "persistence": {"enabled": True, "size": "1Gi"},
            "resources": {"requests": {"cpu": "50m"}},
        },
        "metrics": {"dashboard": {"enabled": True}},
    }
    one.install(given)
    [first] = one.ready_pods()
    assert settings(one)["LOG_LEVEL"] == "info"

    one.install(given)
    assert one.ready_pods() == [first], "an upgrade that changes nothing keeps the pods"

    one.install(given | {"logLevel": "debug"})
    [second] = one.ready_pods()
    assert second != first
    assert settings(one)["LOG_LEVEL"] == "debug"

    one.install(given | {"logLevel": "debug", "redis": {"url": "redis://valkey.platform:6379/2"}})
    [third] = one.ready_pods()
    assert third != second
    assert settings(one)["REDIS_URL"].endswith("/2")

    helm("rollback", one.name, "1", "--wait", "--timeout", "3m")
    [back] = one.ready_pods()
    assert settings(one)["LOG_LEVEL"] == "info"
    assert settings(one)["REDIS_URL"].endswith("/1")

    # The model is on the claim, so a new pod is ready as fast as its processes start.
    kubectl("delete", "pod", back)
    eventually("a new pod is ready", 60, one.ready_pods)
    assert "already there" in one.logs("pull-models")
    seconds = seconds_to_ready(one)
    assert seconds <= 10, f"{seconds} s from the start of the pod to ready"
    print(f"\npod start to ready, model present: {seconds:.0f} s")

    one.uninstall()
    kinds = "all,configmap,secret,serviceaccount,persistentvolumeclaim,networkpolicy,ingress,poddisruptionbudget"

    def left() -> list[Any]:
        items: list[Any] = get(kinds, "--selector", f"app.kubernetes.io/instance={one.name}")["items"]
        return items

    eventually("everything is gone", 60, lambda: not left())
    assert one.name not in kubectl("get", "secret", "--output", "name")


def seconds_to_ready(one: Release) -> float:
    [pod] = [pod for pod in one.pods() if "deletionTimestamp" not in pod["metadata"]]
    ready = next(c for c in pod["status"]["conditions"] if c["type"] == "Ready")
    times = (datetime.fromisoformat(at) for at in (pod["status"]["startTime"], ready["lastTransitionTime"]))
    started, became = times
    return (became - started).total_seconds()


def test_the_api_server_accepts_every_object_of_the_chart() -> None:
    rendered = run("helm", "template", "everything", str(CHART), "--namespace", SCRATCH, "--kube-version", "1.34.0",
                   "--skip-tests", "--values", "/dev/stdin", text=yaml.safe_dump(values("everything")))  # fmt: skip
    known = [one for one in yaml.safe_load_all(rendered) if one and one["kind"] not in CUSTOM]
    said = kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=yaml.safe_dump_all(known))
    assert said.count("created (server dry run)") == len(known) >= 10
