"""The autoscaler reads the service's CPU from metrics-server, adds pods under load and takes them away again."""

import time
from collections.abc import Callable
from typing import Any

from tests.e2e.cluster import Release, eventually, get, kubectl
from tests.e2e.conftest import Load


def test_pods_come_under_load_and_go_after_it(release: Callable[[str], Release], load: Callable[..., Load]) -> None:
    one = release("scaling")
    one.install(
        {
            "image": {"tag": "dev"},
            "anonymousPerMinute": "off",  # the load comes from one address
            "anonymousConcurrent": "off",
            "preStopSeconds": 1,
            "drainSeconds": 5,
            "marginSeconds": 2,
            "autoscaling": {
                "enabled": True,
                "minReplicas": 1,
                "maxReplicas": 3,
                "targetCPUUtilizationPercentage": 40,
                # As the defaults, with shortened windows.
                "behavior": {
                    "scaleDown": {
                        "stabilizationWindowSeconds": 5,
                        "policies": [{"type": "Percent", "value": 100, "periodSeconds": 5}],
                    }
                },
            },
        }
    )
    eventually("kubectl top shows the containers", 60, lambda: top(one))

    def autoscaler() -> Any:
        return get("horizontalpodautoscaler", one.fullname)

    def cpu() -> int | None:
        metrics = autoscaler()["status"].get("currentMetrics") or []
        for metric in metrics:
            if metric["type"] == "ContainerResource":
                assert metric["containerResource"]["container"] == "agent-api"
                value: int | None = metric["containerResource"]["current"].get("averageUtilization")
                return value
        return None

    eventually("the autoscaler knows the CPU", 90, lambda: cpu() is not None)
    assert len(one.ready_pods()) == 1

    started = time.monotonic()
    running = load(f"http://{one.fullname}:8000", 150, 0)
    eventually("more pods are ready", 120, lambda: len(one.ready_pods()) >= 2)
    up = time.monotonic() - started
    result = running.stop()
    started = time.monotonic()
    eventually("one pod is left", 180, lambda: len(one.ready_pods()) == 1)
    print(f"\nscaled up after {up:.0f} s, down after {time.monotonic() - started:.0f} s; {result}")
    assert result["failed"] == 0, result


def top(one: Release) -> bool:
    selector = f"app.kubernetes.io/instance={one.name}"
    return "agent-api" in kubectl("top", "pods", "--containers", "--selector", selector)
