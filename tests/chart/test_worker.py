"""The workers' pods: a Deployment of their own out of the same templates, and what goes with it."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, Manifest, Render, Rendered, RenderError, annotations
from tests.chart.reading import variables
from tests.chart.values import EVERYTHING, WORKER, WORKER_KEDA

REDIS: dict[str, Any] = {"redis": {"existingSecret": "redis"}}
VALUES: dict[str, Any] = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)


def named(rendered: Rendered, kind: str, name: str = "agent-api-worker") -> Manifest:
    return next(one for one in rendered.of(kind) if one["metadata"]["name"] == name)


def worker(rendered: Rendered) -> Manifest:
    """The pods of the workers, as a template."""
    template: Manifest = named(rendered, "Deployment")["spec"]["template"]
    return template


def container(rendered: Rendered) -> Manifest:
    found: Manifest = worker(rendered)["spec"]["containers"][0]
    return found


def test_without_it_there_is_nothing_of_it(render: Render) -> None:
    assert not [one for one in render(**EVERYTHING).manifests if "worker" in one["metadata"]["name"]]


def test_a_worker_is_the_same_pod_with_another_command(render: Render) -> None:
    rendered = render(**REDIS, worker={"enabled": True})
    api = named(rendered, "Deployment", "agent-api")["spec"]["template"]["spec"]
    own, theirs = container(rendered), api["containers"][0]
    assert own["args"] == ["worker"]
    same = ("image", "imagePullPolicy", "envFrom", "securityContext", "volumeMounts", "resources")
    assert {name: own[name] for name in same} == {name: theirs[name] for name in same}
    pod = worker(rendered)["spec"]
    different = {"containers", "terminationGracePeriodSeconds"}
    assert {name: value for name, value in pod.items() if name not in different} == {
        name: value for name, value in api.items() if name not in different
    }


def test_it_has_no_api_and_is_probed_beside_its_metrics(render: Render) -> None:
    own = container(render(**REDIS, worker={"enabled": True}))
    assert [port["name"] for port in own["ports"]] == ["metrics"]
    probes = [own[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")]
    assert probes == [{"path": path, "port": "metrics"} for path in ("/live", "/live", "/ready")]
    assert "lifecycle" not in own


@pytest.mark.parametrize("values", [WORKER, yaml.load(WORKER_KEDA, yaml.CSafeLoader)], ids=["everything", "keda"])
def test_no_service_of_the_api_leads_to_a_worker(render: Render, values: dict[str, Any]) -> None:
    rendered = render(**values)
    labels = worker(rendered)["metadata"]["labels"]
    for kind in ("Service", "NetworkPolicy", "PodDisruptionBudget", "Deployment"):
        for one in rendered.of(kind):
            spec = one["spec"]
            selector = spec.get("podSelector", spec.get("selector", {}))
            selector = selector.get("matchLabels", selector)
            mine = one["metadata"]["name"].startswith("agent-api-worker")
            assert (selector.items() <= labels.items()) == mine, f"{kind} {one['metadata']['name']}"


def test_the_api_leaves_background_runs_to_it_unless_told(render: Render) -> None:
    assert render(**REDIS).settings().get("WORKERS") is None
    assert render(**REDIS, worker={"enabled": True}).settings()["WORKERS"] == "0"
    assert render(**REDIS, worker={"enabled": True}, workers=2).settings()["WORKERS"] == "2"
    assert render(workers=7).read().workers == 7


def test_a_worker_works_on_as_many_runs_as_its_own_value_says(render: Render) -> None:
    assert variables(container(render(**REDIS, worker={"enabled": True, "concurrency": 3})))["WORKERS"] == "3"


def test_its_grace_is_its_drain_and_the_margin(render: Render) -> None:
    rendered = render(**REDIS, worker={"enabled": True, "drainSeconds": 90}, marginSeconds=5)
    assert worker(rendered)["spec"]["terminationGracePeriodSeconds"] == 95
    assert variables(container(rendered))["DRAIN_SECONDS"] == "90"


def test_its_variables_win(render: Render) -> None:
    rendered = render(
        **REDIS,
        extraEnv=[{"name": "A", "value": "1"}, {"name": "B", "value": "1"}],
        worker={"enabled": True, "extraEnv": [{"name": "B", "value": "2"}]},
    )
    given = variables(container(rendered))
    assert (given["A"], given["B"]) == ("1", "2")
    api = named(rendered, "Deployment", "agent-api")["spec"]["template"]["spec"]["containers"][0]
    assert variables(api)["B"] == "1"


def test_a_changed_setting_rolls_both_kinds_of_pods(render: Render) -> None:
    def sums(**values: Any) -> list[str]:
        deployments = render(**REDIS, worker={"enabled": True}, **values).of("Deployment")
        return [annotations(one["spec"]["template"])["checksum/config"] for one in deployments]

    assert not set(sums()) & set(sums(maxIterations=3))


def test_what_it_is_scaled_on(render: Render) -> None:
    autoscaling = {"enabled": True, "queueAge": {"enabled": True, "seconds": 7}}
    scaler = named(render(**REDIS, worker={"enabled": True, "autoscaling": autoscaling}), "HorizontalPodAutoscaler")
    assert scaler["spec"]["scaleTargetRef"]["name"] == "agent-api-worker"
    cpu, age = scaler["spec"]["metrics"]
    assert cpu["containerResource"]["name"] == "cpu"
    assert age["pods"]["metric"]["name"] == "agent_run_queue_age_seconds"
    assert age["pods"]["target"]["averageValue"] == "7"
    assert "replicas" not in named(render(**REDIS, worker={"enabled": True, "autoscaling": autoscaling}), "Deployment")


def test_keda_asks_prometheus_for_the_age_of_the_queue(render: Render) -> None:
    rendered = render(**yaml.load(WORKER_KEDA, yaml.CSafeLoader))
    assert not rendered.of("HorizontalPodAutoscaler")
    [trigger] = rendered.one("ScaledObject")["spec"]["triggers"]
    assert trigger == {
        "type": "prometheus",
        "metadata": {
            "serverAddress": "http://prometheus.monitoring:9090",
            "query": 'max(agent_run_queue_age_seconds{namespace="agents",service="agent-api-worker-metrics"})',
            "threshold": "10",
        },
    }


def test_its_metrics_are_scraped_and_nothing_else_is_let_in(render: Render) -> None:
    rendered = render(**WORKER)
    monitor, service = named(rendered, "ServiceMonitor"), named(rendered, "Service", "agent-api-worker-metrics")
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    [rule] = named(rendered, "NetworkPolicy")["spec"]["ingress"]
    assert [port["port"] for port in rule["ports"]] == ["metrics"]
    closed = named(render(**REDIS, worker={"enabled": True}), "NetworkPolicy")["spec"]
    assert "ingress" not in closed
    assert "Ingress" in closed["policyTypes"]


def test_the_alerts_look_at_both_kinds_of_pods(render: Render) -> None:
    groups = render(**WORKER).one("PrometheusRule")["spec"]["groups"]
    for rule in (rule for group in groups for rule in group["rules"] if "agent_" in rule["expr"]):
        api_alone = rule["alert"] == "AgentApiAbsent"
        assert ('service="agent-api-metrics"' in rule["expr"]) == api_alone
        assert ('service=~"agent-api(-worker)?-metrics"' in rule["expr"]) != api_alone


@pytest.mark.parametrize(
    ("value", "name", "setting"),
    [
        ("webhooks", "webhooks", "WEBHOOK_SECRETS_DIR"),
        ("mcp", "mcp", "MCP_SERVERS_FILE"),
        ("auditKey", "audit-key", "AUDIT_KEY_FILE"),
    ],
)
def test_files_with_secrets_are_a_folder_for_the_pods_group_alone(
    render: Render, value: str, name: str, setting: str
) -> None:
    rendered = render(**{value: {"existingSecret": "theirs"}})
    [volume] = [one for one in rendered.pod()["volumes"] if one["name"] == name]
    assert (volume["secret"]["secretName"], volume["secret"]["defaultMode"]) == ("theirs", 0o440)
    [mount] = [one for one in rendered.app()["volumeMounts"] if one["name"] == name]
    assert rendered.settings()[setting].startswith(mount["mountPath"])
    assert mount["readOnly"]


@pytest.mark.parametrize(
    ("value", "setting"), [("guardRules", "GUARD_RULES_DIR"), ("redactionRules", "REDACTION_RULES_DIR")]
)
def test_rules_are_a_folder_of_a_config_map(render: Render, value: str, setting: str) -> None:
    rendered = render(**{value: {"configMap": "rules"}})
    [volume] = [one for one in rendered.pod()["volumes"] if one.get("configMap", {}).get("name") == "rules"]
    [mount] = [one for one in rendered.app()["volumeMounts"] if one["name"] == volume["name"]]
    assert mount["mountPath"] == rendered.settings()[setting]


def test_ports_of_tools_are_open(render: Render) -> None:
    rendered = render(
        sqlQuery={"existingSecret": "reader", "port": 5433},
        mcp={"existingSecret": "mcp", "ports": [8443]},
        networkPolicy={"enabled": True},
    )
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert {5433, 8443} <= {port["port"] for rule in egress for port in rule.get("ports", ())}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"worker": {"enabled": True}}, "worker.enabled needs a Redis that the pods share"),
        ({"runQueue": {"url": "postgresql://db/runs"}}, "runQueue is set, but there is no Redis"),
        (
            {**REDIS, "runQueue": {"url": "redis://a", "existingSecret": "b"}},
            "runQueue.existingSecret and runQueue.url are both set",
        ),
        ({**REDIS, "runQueue": {"url": "amqp://a"}}, "runQueue.url is not an address"),
        (
            {**REDIS, "worker": {"enabled": True, "autoscaling": {"enabled": True, "minReplicas": 11}}},
            r"worker.autoscaling.minReplicas \(11\) is above worker.autoscaling.maxReplicas \(10\)",
        ),
        (
            {**REDIS, "worker": {"enabled": True, "autoscaling": {"keda": {"enabled": True}}}},
            "worker.autoscaling.keda.enabled needs worker.autoscaling.enabled=true",
        ),
        (
            {**REDIS, "worker": {"enabled": True, "autoscaling": {"enabled": True, "keda": {"enabled": True}}}},
            "needs worker.autoscaling.keda.serverAddress",
        ),
        (
            {
                **REDIS,
                "worker": {
                    "enabled": True,
                    "autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None},
                },
            },
            "worker.autoscaling.targetCPUUtilizationPercentage is null and nothing else is scaled on",
        ),
        (
            {**REDIS, "worker": {"enabled": True}, "ollama": {"enabled": True, "persistence": {"enabled": True}}},
            "which one node alone may mount",
        ),
    ],
)
def test_what_cannot_work_is_refused(render: Render, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RenderError, match=sentence):
        render(**values)


def paths(node: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    for key, value in node.items():
        yield (*path, key)
        if isinstance(value, dict):
            yield from paths(value, (*path, key))


@pytest.mark.parametrize("path", list(paths(VALUES["worker"])), ids=".".join)
@pytest.mark.parametrize("values", [WORKER, yaml.load(WORKER_KEDA, yaml.CSafeLoader)], ids=["everything", "keda"])
def test_each_value_of_it_may_be_missing(render: Render, path: tuple[str, ...], values: dict[str, Any]) -> None:
    given = json.loads(json.dumps(values))
    node = given["worker"]
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = None
    try:
        assert render(**given).of("Deployment")
    except RenderError as error:
        assert not re.search(r"nil pointer|wrong type|interface conversion|error calling|<nil>", str(error))  # noqa: PT017
