"""How many pods there are and how they are replaced, with a scaler and without one."""

from typing import Any

import pytest

from tests.chart.conftest import Render, RenderError

REDIS = {"redis": {"existingSecret": "redis"}}


def keda(**values: Any) -> dict[str, Any]:
    return {"autoscaling": {"enabled": True, "keda": {"enabled": True, **values}}}


@pytest.mark.parametrize(
    ("values", "replicas"),
    [
        ({}, 1),
        ({"replicaCount": 0}, 0),
        ({"replicaCount": 3}, 3),
        ({"replicaCount": None}, None),
        ({"autoscaling": {"enabled": True}}, None),
        ({"autoscaling": {"enabled": True}, "replicaCount": 3}, None),
        (keda(), None),
    ],
    ids=str,
)
def test_replicas_are_left_to_a_scaler(render: Render, values: dict[str, Any], replicas: int | None) -> None:
    deployment = render(**values).one("Deployment")
    assert deployment["spec"].get("replicas") == replicas
    noted = deployment["metadata"]["annotations"]["agent-api/replicas"]
    assert noted == ("left-out" if replicas is None else "rendered")


def test_a_scaler_of_one_s_own_may_run_several_pods(render: Render) -> None:
    assert render(replicaCount=None).one("PodDisruptionBudget")["spec"]["maxUnavailable"] == 1
    with pytest.raises(RenderError, match="several pods are asked for and there is no Redis"):
        render(replicaCount=None, limits={"global": {"concurrent": 5}})
    with pytest.raises(RenderError, match="one node alone may mount"):
        render(replicaCount=None, ollama={"enabled": True, "persistence": {"enabled": True}})


def test_keda_scales_instead_of_the_autoscaler(render: Render) -> None:
    trigger = {"type": "prometheus", "metadata": {"serverAddress": "http://prometheus:9090", "threshold": "20"}}
    given = keda(triggers=[trigger], fallback={"failureThreshold": 3, "replicas": 4}, annotations={"a": "b"})
    given["autoscaling"] |= {"minReplicas": 3, "maxReplicas": 7}
    rendered = render(**given)
    assert rendered.of("HorizontalPodAutoscaler") == []
    scaled = rendered.one("ScaledObject")
    spec = scaled["spec"]
    assert scaled["metadata"]["annotations"] == {"a": "b"}
    assert spec["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": "agent-api"}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 7)
    cpu = {"type": "cpu", "metricType": "Utilization", "metadata": {"containerName": "agent-api", "value": "70"}}
    assert spec["triggers"] == [cpu, trigger]
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 4, "behavior": "static"}
    assert (
        spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 300
    )


def test_the_cpu_can_be_left_out_where_something_else_is_scaled_on(render: Render) -> None:
    given = keda(triggers=[{"type": "cron", "metadata": {"start": "a"}}])
    given["autoscaling"]["targetCPUUtilizationPercentage"] = None
    assert [one["type"] for one in render(**given).one("ScaledObject")["spec"]["triggers"]] == ["cron"]
    alone = {"enabled": True, "targetCPUUtilizationPercentage": None}
    metrics = render(autoscaling={**alone, "activeRequests": {"enabled": True}})
    assert [one["type"] for one in metrics.one("HorizontalPodAutoscaler")["spec"]["metrics"]] == ["Pods"]
    metrics = render(autoscaling={**alone, "queueDepth": {"enabled": True}}, maxConcurrentCalls=8)
    assert [one["type"] for one in metrics.one("HorizontalPodAutoscaler")["spec"]["metrics"]] == ["Pods"]
    with pytest.raises(RenderError, match="nothing else is scaled on"):
        render(autoscaling=alone)


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"autoscaling": {"keda": {"enabled": True}}}, "needs autoscaling.enabled=true"),
        (
            {"autoscaling": {"enabled": True, "activeRequests": {"enabled": True}, "keda": {"enabled": True}}},
            "give a trigger of type prometheus",
        ),
        (
            {"autoscaling": {"enabled": True, "queueDepth": {"enabled": True}, "keda": {"enabled": True}}},
            "give a trigger of type prometheus",
        ),
        (
            {"autoscaling": {"enabled": True, "queueDepth": {"enabled": True}}},
            "autoscaling.queueDepth.enabled needs maxConcurrentCalls",
        ),
        (
            {"strategy": {"type": "Recreate", "rollingUpdate": {"maxSurge": 1}}},
            "strategy.rollingUpdate is set, but strategy.type is Recreate",
        ),
    ],
    ids=str,
)
def test_what_contradicts_itself_is_refused(render: Render, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RenderError, match=sentence):
        render(**values)


def strategy(render: Render, **values: Any) -> Any:
    return render(**values).one("Deployment")["spec"]["strategy"]


ROLLING = {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": "25%", "maxUnavailable": 0}}
GPU: dict[str, Any] = {"enabled": True, "gpu": {"enabled": True}}
SHARED = {"persistence": {"enabled": True, "accessMode": "ReadWriteMany"}}


def test_pods_that_need_the_same_gpu_do_not_run_together(render: Render) -> None:
    assert strategy(render) == strategy(render, ollama={"enabled": True}) == ROLLING
    assert strategy(render, ollama=GPU) == strategy(render, ollama=GPU | SHARED) == {"type": "Recreate"}
    assert strategy(render, ollama={"gpu": {"enabled": True}}) == ROLLING, "there is no sidecar"


@pytest.mark.parametrize(
    "given", [{"type": "Recreate"}, {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}]
)
def test_the_strategy_is_a_value(render: Render, given: dict[str, Any]) -> None:
    assert strategy(render, strategy=given, ollama=GPU) == given


def test_liveness_is_more_patient_than_readiness(render: Render) -> None:
    """A starved process answers late; restarting it would cut its streams, taking it out is enough."""
    app = render().app()

    def seconds(name: str) -> int:
        return int(app[name]["periodSeconds"] * app[name]["failureThreshold"])

    assert seconds("livenessProbe") >= 120
    assert app["livenessProbe"]["timeoutSeconds"] >= 15
    assert seconds("readinessProbe") <= 15
