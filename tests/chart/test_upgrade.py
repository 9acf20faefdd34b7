"""An upgrade: from the values of an older chart, and to another version of this one."""

import json
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, RenderError, Template, parsed
from tests.chart.values import EVERYTHING, KEDA

OLD: dict[str, Any] = yaml.load((Path(__file__).parent / "old-values.yaml").read_text(), yaml.CSafeLoader)
NEW: dict[str, Any] = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)


def chart_with(folder: Path, values: dict[str, Any] | None = None, changes: dict[str, str] | None = None) -> Path:
    """A copy of the chart with other defaults or lines of Chart.yaml."""
    chart = folder / "agent-api"
    shutil.copytree(CHART, chart)
    if values is not None:
        (chart / "values.yaml").write_text(yaml.safe_dump(values))
    text = (chart / "Chart.yaml").read_text()
    for name, value in (changes or {}).items():
        text = re.sub(rf"(?m)^{name}: .*$", f'{name}: "{value}"', text)
    (chart / "Chart.yaml").write_text(text)
    return chart


@pytest.fixture(scope="module")
def reused(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This chart as `helm upgrade --reuse-values` sees it: the older chart's values instead of its own."""
    return chart_with(tmp_path_factory.mktemp("reused"), OLD)


SWITCHES: dict[str, Any] = {
    "autoscaling": {"enabled": True},
    "ingress": {"enabled": True, "className": "nginx"},
    "httpRoute": {"enabled": True, "parentRefs": [{"name": "gateway"}]},
    "metrics": {name: {"enabled": True} for name in ("serviceMonitor", "prometheusRule", "dashboard")},
    "ollama": {"enabled": True, "gpu": {"enabled": True}},
    "redis": {"url": "redis://valkey"},
    "auth": {"allowAnonymous": True},
    "tracing": {"endpoint": "http://jaeger:4317"},
    "extraEnv": [{"name": "HTTPS_PROXY", "value": "http://proxy:3128"}],
}


@pytest.mark.parametrize("name", ["none", *SWITCHES, "all"])
def test_values_of_an_older_chart_are_enough(template: Template, reused: Path, name: str) -> None:
    given = SWITCHES if name == "all" else {"auth": SWITCHES["auth"], name: SWITCHES[name]} if name != "none" else {}
    rendered = parsed(template(json.dumps(given), chart=reused))
    assert rendered.one("Deployment")["spec"]["template"]["spec"]["automountServiceAccountToken"] is False
    assert {one["name"]: one.get("value") for one in rendered.app()["env"]}["HOST"] == "::"
    if rendered.of("HTTPRoute"):
        [rule] = rendered.one("HTTPRoute")["spec"]["rules"]
        assert rule["timeouts"] == {"request": "150s"}
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]
    assert egress[0]["ports"][0] == {"port": 53, "protocol": "UDP"}


def groups(node: dict[str, Any], old: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The values that the older chart did not have."""
    for key, value in node.items():
        if not isinstance(old, dict) or key not in old:
            yield (*path, key)
        if isinstance(value, dict):
            yield from groups(value, old.get(key) if isinstance(old, dict) else None, (*path, key))


@pytest.mark.parametrize("path", list(groups(NEW, OLD)), ids=".".join)
@pytest.mark.parametrize("everything", [EVERYTHING, yaml.load(KEDA, yaml.CSafeLoader)], ids=["everything", "keda"])
def test_each_new_value_may_be_missing(template: Template, path: tuple[str, ...], everything: dict[str, Any]) -> None:
    """However the rest is set; null takes a value away as if the chart had none."""
    values = json.loads(json.dumps(everything))
    node = values
    for key in path[:-1]:
        node = node.setdefault(key, {})
    node[path[-1]] = None
    try:
        assert parsed(template(json.dumps(values))).one("Deployment")
    except RenderError as error:
        assert not re.search(r"nil pointer|wrong type|interface conversion|error calling|<nil>", str(error))  # noqa: PT017


@pytest.mark.parametrize(
    "changes",
    [{"version": "9.9.9"}, {"version": "9.9.9", "appVersion": "9.9.9"}],
    ids=["version", "appVersion"],
)
def test_another_version_of_the_chart_restarts_no_pod(
    template: Template, tmp_path: Path, changes: dict[str, str]
) -> None:
    values = json.dumps(EVERYTHING | {"image": {"tag": "pinned"}})
    before = parsed(template(values)).one("Deployment")
    after = parsed(template(values, chart=chart_with(tmp_path, changes=changes))).one("Deployment")
    assert after["metadata"]["labels"]["helm.sh/chart"] == "agent-api-9.9.9"
    assert after["spec"]["template"] == before["spec"]["template"]


def test_what_the_pods_do_not_read_restarts_none(template: Template) -> None:
    def pods(**values: Any) -> Any:
        rendered = parsed(template(json.dumps({"ollama": {"enabled": True}, "redis": {"url": "redis://a"}, **values})))
        return rendered.one("Deployment")["spec"]["template"]

    same: list[dict[str, Any]] = [
        {"deploymentAnnotations": {"a": "b"}},
        {"service": {"labels": {"a": "b"}, "annotations": {"c": "d"}}},
        {"networkPolicy": {"enabled": False}},
        {"tests": {"enabled": False}},
        {"metrics": {"serviceMonitor": {"enabled": True}}},
    ]
    for values in same:
        assert pods(**values) == pods(), values
    assert pods(logLevel="debug") != pods()


def test_the_pods_of_helm_test_can_be_left_out(template: Template) -> None:
    """For `helm template | kubectl apply`; other tools pass over them by their annotations."""
    assert [one for one in parsed(template("tests: {enabled: false}")).manifests if one["kind"] == "Pod"] == []
    pods = [one for one in parsed(template("")).manifests if one["kind"] == "Pod"]
    assert len(pods) == 2
    for pod in pods:
        noted = pod["metadata"]["annotations"]
        assert noted["helm.sh/hook"] == "test"
        assert noted["argocd.argoproj.io/hook"] == "Skip"
        assert noted["config.kubernetes.io/local-config"] == "true"
