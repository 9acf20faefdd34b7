"""Names, labels, images: what any release, namespace or umbrella chart may make of them."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.conftest import CHART, Render, Rendered, RenderError, Template, parsed
from tests.chart.values import EVERY_NAME, EVERYTHING

AWKWARD = ["123", "1e5", "0x1f", "true", "null", "no", "1_000", "2001-01-01"]
SOME: dict[str, Any] = EVERYTHING | {"fullnameOverride": "agent-api"}


def strings(node: Any, path: str = "") -> dict[str, Any]:
    """Each leaf of a manifest, by its path."""
    if isinstance(node, dict):
        return {key: leaf for name, one in node.items() for key, leaf in strings(one, f"{path}.{name}").items()}
    if isinstance(node, list):
        return {key: leaf for index, one in enumerate(node) for key, leaf in strings(one, f"{path}.{index}").items()}
    return {path: node}


@pytest.mark.parametrize("name", ["123", "1e5", "true", "null"])
def test_a_release_and_a_namespace_may_look_like_something_else(template: Template, name: str) -> None:
    """Each text stays a text, and `1e5` is a number to YAML."""
    awkward = parsed(template(json.dumps(SOME), release=name, namespace=name))
    plain = parsed(template(json.dumps(SOME), release="agent-api", namespace="agents"))
    for one, other in zip(awkward.manifests, plain.manifests, strict=True):
        found, wanted = strings(one), strings(other)
        assert found.keys() == wanted.keys()
        assert {path: type(leaf) for path, leaf in found.items()} == {path: type(leaf) for path, leaf in wanted.items()}
        if ".metadata.namespace" in found:
            assert found[".metadata.namespace"] == name


@pytest.mark.parametrize("name", AWKWARD)
def test_a_secret_may_be_called_like_a_number(render: Render, name: str) -> None:
    def named(name: str) -> Rendered:
        return render(
            **EVERY_NAME
            | {
                "anthropic": {"existingSecret": name, "existingSecretKey": name},
                "redis": {"existingSecret": name, "tls": {"existingSecret": name, "existingSecretKey": name}},
                "caBundle": {"secret": name, "key": name},
                "image": {"repository": "a", "tag": name},
                "ollama": {
                    "enabled": True,
                    "persistence": {"enabled": True, "existingClaim": name, "accessMode": "ReadWriteMany"},
                },
            },
            imagePullSecrets=[{"name": name}],
            priorityClassName=name,
            runtimeClassName=name,
            serviceAccount={"name": name, "annotations": {"a": name}},
            ingress={"enabled": True, "className": name, "annotations": {"a": name}},
            service={"labels": {"a": name}, "loadBalancerClass": name},
            commonLabels={"a": name},
            podLabels={"b": name},
            podAnnotations={"c": name},
            deploymentAnnotations={"d": name},
        )

    awkward, plain = named(name), named("plain")
    for one, other in zip(awkward.manifests, plain.manifests, strict=True):
        found, wanted = strings(one), strings(other)
        assert {path: type(leaf) for path, leaf in found.items()} == {path: type(leaf) for path, leaf in wanted.items()}


@pytest.mark.parametrize("name", ["1st", "my.rel", "123"])
def test_a_release_whose_name_no_service_can_have_is_refused_first(template: Template, name: str) -> None:
    with pytest.raises(RenderError, match=r"cannot name a Service: a name begins with a letter .*fullnameOverride"):
        template("", release=name)
    assert parsed(template("fullnameOverride: mine", release=name)).one("Service")["metadata"]["name"] == "mine"


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"fullnameOverride": "Mine"}, "cannot name a Service"),
        ({"fullnameOverride": "my_name"}, "cannot name a Service"),
        ({"nameOverride": "my.name"}, "cannot name a Service"),
        ({"nameOverride": "my name", "fullnameOverride": "a"}, "nameOverride .* cannot be a label"),
        ({"commonLabels": {"app.kubernetes.io/name": "a"}}, "commonLabels sets app.kubernetes.io/name"),
        ({"podLabels": {"app.kubernetes.io/instance": "a"}}, "podLabels sets app.kubernetes.io/instance"),
    ],
    ids=str,
)
def test_names_that_cannot_be_are_told_in_a_sentence(render: Render, values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(RenderError, match=sentence):
        render(**values)


def test_a_label_stands_once_and_the_nearer_wins(render: Render) -> None:
    """A key that stood twice would fail to parse; see conftest."""
    same = {"team": "all", "app.kubernetes.io/version": "7", "helm.sh/chart": "mine"}
    rendered = render(
        commonLabels=same,
        podLabels={"team": "pods"},
        service={"labels": {"team": "service"}},
        metrics={
            name: {"enabled": True, "labels": {"team": name}}
            for name in ("serviceMonitor", "prometheusRule", "dashboard")
        },
    )
    labels = {one["kind"]: one["metadata"]["labels"] for one in rendered.manifests}
    assert labels["ServiceMonitor"]["team"] == "serviceMonitor"
    assert labels["PrometheusRule"]["team"] == "prometheusRule"
    assert labels["NetworkPolicy"]["team"] == "all"
    assert labels["NetworkPolicy"]["app.kubernetes.io/version"] == "7"
    assert rendered.one("Deployment")["spec"]["template"]["metadata"]["labels"]["team"] == "pods"
    services = {one["metadata"]["name"]: one["metadata"]["labels"]["team"] for one in rendered.of("Service")}
    assert services == {"agent-api": "service", "agent-api-metrics": "all"}


@pytest.mark.parametrize(
    ("repository", "wanted"),
    [
        ("agent-api", "mirror.example/x/agent-api:1"),
        ("acme/agent-api", "mirror.example/x/acme/agent-api:1"),
        ("ghcr.io/acme/agent-api", "mirror.example/x/acme/agent-api:1"),
        ("localhost:5000/agent-api", "mirror.example/x/agent-api:1"),
    ],
)
def test_one_registry_for_all_images(render: Render, repository: str, wanted: str) -> None:
    values: dict[str, Any] = {"image": {"repository": repository, "tag": "1"}, "ollama": {"enabled": True}}
    rendered = render(**values, **{"global": {"imageRegistry": "mirror.example/x"}})
    assert rendered.app()["image"] == wanted
    images = [one["image"] for one in rendered.pod()["initContainers"]]
    assert images == ["mirror.example/x/ollama/ollama:0.17.4", wanted]
    tests = [one["spec"]["containers"][0]["image"] for one in rendered.manifests if one["kind"] == "Pod"]
    assert tests == [wanted, wanted]
    assert render(**values).app()["image"] == f"{repository}:1"


def test_the_secrets_of_all_charts_are_used_too(render: Render) -> None:
    rendered = render(imagePullSecrets=[{"name": "a"}], **{"global": {"imagePullSecrets": ["b", {"name": "a"}]}})
    assert rendered.pod()["imagePullSecrets"] == [{"name": "a"}, {"name": "b"}]


@pytest.fixture(scope="module")
def umbrella(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A chart that has this one as a part, under a condition."""
    folder = tmp_path_factory.mktemp("umbrella")
    part = {"name": "agent-api", "version": "0.1.0", "condition": "agent-api.enabled"}
    chart = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": [part]}
    (folder / "Chart.yaml").write_text(yaml.safe_dump(chart))
    shutil.copytree(CHART, folder / "charts" / "agent-api")
    return folder


def test_as_a_part_of_another_chart(template: Template, umbrella: Path) -> None:
    values = {
        "global": {"imageRegistry": "mirror.example", "imagePullSecrets": ["pull"], "storageClass": "fast"},
        "agent-api": {"enabled": True, "logLevel": "debug"},
    }
    rendered = parsed(template(yaml.safe_dump(values), release="platform", chart=umbrella))
    assert rendered.one("Deployment")["metadata"]["name"] == "platform-agent-api"
    assert rendered.app()["image"] == "mirror.example/agent-api:0.1.0"
    assert rendered.pod()["imagePullSecrets"] == [{"name": "pull"}]
    assert rendered.settings()["LOG_LEVEL"] == "debug"
    values["agent-api"] = {"enabled": False}
    assert template(yaml.safe_dump(values), release="platform", chart=umbrella).strip() == ""


def test_a_typo_is_refused_in_a_part_too(template: Template, umbrella: Path) -> None:
    with pytest.raises(RenderError, match="logLevle"):
        template(yaml.safe_dump({"agent-api": {"logLevle": "debug"}}), release="platform", chart=umbrella)


def test_a_part_is_linted(helm: str, umbrella: Path) -> None:
    done = subprocess.run([helm, "lint", str(umbrella)], capture_output=True, text=True, check=False)
    assert "0 chart(s) failed" in done.stdout, done.stdout + done.stderr
