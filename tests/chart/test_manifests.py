"""The manifests against what the API servers accept: each field known and of its type, in each version supported."""

import functools
import json
import os
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from tests.chart.conftest import CHART, KIND_VALUES, ROOT, Template
from tests.chart.values import CASES

SCHEMAS = Path(__file__).parent / "schemas"
VERSIONS = sorted(path.name.removeprefix("v") for path in SCHEMAS.glob("v1.*"))
VALUES = CASES


def tool(name: str) -> str:
    """The path of a program; without it the test is skipped, or fails where REQUIRE_CHART_TOOLS is set."""
    found = shutil.which(name)
    if not found:
        message = f"{name} is not on PATH: what it checks was NOT checked"
        if os.environ.get("REQUIRE_CHART_TOOLS"):
            pytest.fail(message)
        pytest.skip(message)
    return found


def run(*command: str, text: str | None = None) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{done.stdout}{done.stderr}"
    return done.stdout


@functools.cache
def validator(version: str, group_version: str, kind: str) -> jsonschema.Draft7Validator:
    """Raises FileNotFoundError for a kind that scripts/chart_schemas.py does not keep."""
    group, _, api = group_version.rpartition("/")
    name = "-".join(part for part in (kind.lower(), group.split(".")[0], api) if part)
    folder = SCHEMAS / f"v{version}"
    path = folder / f"{name}.json"
    if not path.exists():
        path = SCHEMAS / "crds" / f"{name}.json"
    schema = json.loads(path.read_text().replace("definitions.json#", "#"))
    return jsonschema.Draft7Validator(schema | json.loads((folder / "definitions.json").read_text()))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("values", VALUES)
def test_each_manifest_is_valid(template: Template, values: str, version: str) -> None:
    manifests = [one for one in yaml.load_all(template(VALUES[values]), yaml.CSafeLoader) if one]
    for one in manifests:
        for error in validator(version, one["apiVersion"], one["kind"]).iter_errors(one):
            pytest.fail(f"{one['kind']} {one['metadata']['name']}: {error.json_path}: {error.message}")


def test_a_field_that_no_version_has_is_found() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [], "typo": 1}}
    for version in VERSIONS:
        assert not validator(version, "v1", "Pod").is_valid(pod)


def test_the_oldest_version_checked_is_the_oldest_that_the_chart_accepts() -> None:
    wanted = yaml.load((CHART / "Chart.yaml").read_text(), yaml.CSafeLoader)["kubeVersion"]
    oldest = min(VERSIONS, key=lambda version: [int(part) for part in version.split(".")])
    assert wanted == f">={'.'.join(oldest.split('.')[:2])}.0-0"


@pytest.mark.parametrize("version", VERSIONS)
def test_kubeconform_agrees(template: Template, version: str) -> None:
    kubeconform, name = tool("kubeconform"), "{{.ResourceKind}}{{.KindSuffix}}.json"
    for values in VALUES.values():
        run(
            *(kubeconform, "-strict", "-kubernetes-version", version),
            *("-schema-location", f"{SCHEMAS}/{{{{.NormalizedKubernetesVersion}}}}/{name}"),
            *("-schema-location", f"{SCHEMAS}/crds/{name}"),
            text=template(values),
        )


# Each is explained in the chart's README.
EXPLAINED = {"Deployment few replicas", "Deployment does not have a host podAntiAffinity set"}


@pytest.mark.parametrize("values", VALUES)
def test_kube_score_finds_nothing_critical_and_nothing_unexplained(template: Template, values: str) -> None:
    kube_score = tool("kube-score")
    documents = [one for one in yaml.load_all(template(VALUES[values]), yaml.CSafeLoader) if one]
    installed = [one for one in documents if "helm.sh/hook" not in (one["metadata"].get("annotations") or {})]
    command = [kube_score, "score", "--kubernetes-version", "v1.34", "--output-format", "ci"]
    command += ["--ignore-test", "container-image-pull-policy", "-"]
    done = subprocess.run(command, input=yaml.safe_dump_all(installed), capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if not line.startswith(("[OK]", "[SKIPPED]"))]
    assert done.stdout, done.stderr
    assert [line for line in lines if line.rpartition(": ")[2] not in EXPLAINED] == []
    assert not [line for line in lines if line.startswith("[CRITICAL]")]


# Checks of checkov that do not fit; why not is in the chart's README.
SKIPPED = ("CKV_K8S_15", "CKV_K8S_35", "CKV_K8S_43")


@pytest.mark.parametrize("values", VALUES)
def test_checkov_finds_nothing_unexplained(template: Template, values: str, tmp_path: Path) -> None:
    if not shutil.which("checkov") and not os.environ.get("REQUIRE_CHART_TOOLS"):
        pytest.skip("checkov is not on PATH; make helm-lint installs it")
    checkov = run(str(ROOT / "scripts" / "checkov")).strip()
    documents = [one for one in yaml.load_all(template(VALUES[values]), yaml.CSafeLoader) if one]
    installed = [one for one in documents if "helm.sh/hook" not in (one["metadata"].get("annotations") or {})]
    (tmp_path / "manifests.yaml").write_text(yaml.safe_dump_all(installed))
    command = [
        checkov,
        "--directory",
        str(tmp_path),
        "--framework",
        "kubernetes",
        "--skip-download",
        "--output",
        "json",
    ]
    done = subprocess.run([*command, "--skip-check", ",".join(SKIPPED)], capture_output=True, text=True, check=False)
    report = json.loads(done.stdout)
    failed = [f"{one['check_id']} {one['resource']}: {one['check_name']}" for one in report["results"]["failed_checks"]]
    assert failed == []
    assert report["summary"]["passed"] > 50, "it has looked at nothing"


def test_each_skipped_check_is_explained() -> None:
    text = (CHART / "README.md").read_text()
    for name in SKIPPED:
        assert f"`{name}`" in text


def test_helm_lint_is_clean(helm: str) -> None:
    run(helm, "lint", "--strict", str(CHART))
    run(helm, "lint", "--strict", str(CHART), "--values", str(KIND_VALUES))


def test_the_neighbours_are_valid() -> None:
    for path in sorted((ROOT / "k8s").rglob("*.yaml")):
        if path.name == "kustomization.yaml":
            continue
        for one in yaml.load_all(path.read_text(), yaml.CSafeLoader):
            for error in validator(VERSIONS[-1], one["apiVersion"], one["kind"]).iter_errors(one):
                pytest.fail(f"{path.name}: {one['kind']}: {error.json_path}: {error.message}")
