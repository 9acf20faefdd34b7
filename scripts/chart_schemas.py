"""Makes tests/chart/schemas: what kubeconform checks the rendered manifests with, without a network.

The source is the OpenAPI document of each Kubernetes release and the CRDs of three projects, which their Go
modules hold. Only the kinds the chart and k8s/ use are kept, without descriptions, and no object accepts a
field it does not name. Run it again to add a Kubernetes version.
"""

import json
import subprocess
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]

KUBERNETES = ("1.30.14", "1.32.13", "1.34.4", "1.36.3")
GATEWAY = ("sigs.k8s.io/gateway-api", "v1.4.0", ("config/crd/standard/gateway.networking.k8s.io_httproutes.yaml",))
OPERATOR = (
    "github.com/prometheus-operator/prometheus-operator",
    "v0.85.0",
    (
        "example/prometheus-operator-crd/monitoring.coreos.com_servicemonitors.yaml",
        "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml",
    ),
)
KEDA = ("github.com/kedacore/keda/v2", "v2.17.2", ("config/crd/bases/keda.sh_scaledobjects.yaml",))
KINDS = (
    "io.k8s.api.apps.v1.Deployment",
    "io.k8s.api.apps.v1.StatefulSet",
    "io.k8s.api.autoscaling.v2.HorizontalPodAutoscaler",
    "io.k8s.api.core.v1.ConfigMap",
    "io.k8s.api.core.v1.Namespace",
    "io.k8s.api.core.v1.PersistentVolumeClaim",
    "io.k8s.api.core.v1.Pod",
    "io.k8s.api.core.v1.Secret",
    "io.k8s.api.core.v1.Service",
    "io.k8s.api.core.v1.ServiceAccount",
    "io.k8s.api.networking.v1.Ingress",
    "io.k8s.api.networking.v1.NetworkPolicy",
    "io.k8s.api.policy.v1.PodDisruptionBudget",
    "io.k8s.api.rbac.v1.ClusterRole",
    "io.k8s.api.rbac.v1.ClusterRoleBinding",
    "io.k8s.api.rbac.v1.RoleBinding",
    "io.k8s.kube-aggregator.pkg.apis.apiregistration.v1.APIService",
)
TARGET = Path(__file__).parent.parent / "tests" / "chart" / "schemas"
REF = "#/definitions/"


def module_folder(module: str, version: str) -> Path:
    """Where Go keeps a module's files, after it has fetched and verified them."""
    out = subprocess.run(
        ["go", "mod", "download", "-json", f"{module}@{version}"], check=True, capture_output=True, text=True
    )
    return Path(json.loads(out.stdout)["Dir"])


def strict(node: Any) -> Any:
    """The schema without descriptions and extensions, closed wherever it names its fields."""
    if isinstance(node, list):
        return [strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    if node.get("format") == "int-or-string" or node.get("x-kubernetes-int-or-string"):
        return {"type": ["integer", "string"]}
    kept: Json = {}
    for key, value in node.items():
        if key == "properties":
            kept[key] = {name: strict(schema) for name, schema in value.items()}
        elif key not in ("description", "default", "format", "example") and not key.startswith("x-"):
            kept[key] = strict(value)
    if "properties" in kept and not node.get("x-kubernetes-preserve-unknown-fields"):
        kept.setdefault("additionalProperties", False)
    return kept


def references(node: Any) -> set[str]:
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    found = {node["$ref"].removeprefix(REF)} if isinstance(node.get("$ref"), str) else set()
    return found.union(*map(references, node.values()))


def reachable(definitions: Json, roots: set[str]) -> set[str]:
    seen: set[str] = set()
    todo = set(roots)
    while todo:
        name = todo.pop()
        seen.add(name)
        todo |= references(definitions[name]) - seen
    return seen


def write(path: Path, schema: Json) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(schema, separators=(",", ":"), sort_keys=True) + "\n")


def file_name(group: str, version: str, kind: str) -> str:
    """As kubeconform names schemas: kind, first part of the group, version."""
    group = group.split(".")[0]
    return "-".join(part for part in (kind.lower(), group, version) if part) + ".json"


def kubernetes(version: str) -> None:
    source = module_folder("k8s.io/kubernetes", f"v{version}") / "api" / "openapi-spec" / "swagger.json"
    definitions = json.loads(source.read_text())["definitions"]
    kept = {name: strict(definitions[name]) for name in reachable(definitions, set(KINDS))}
    kept["io.k8s.apimachinery.pkg.api.resource.Quantity"] = {"type": ["string", "number"]}
    folder = TARGET / f"v{version}"
    for name in KINDS:
        identity = definitions[name]["x-kubernetes-group-version-kind"][0]
        group, api, kind = identity["group"], identity["version"], identity["kind"]
        top = {
            "required": ["apiVersion", "kind", "metadata"],
            "properties": {
                "apiVersion": {"const": f"{group}/{api}" if group else api},
                "kind": {"const": kind},
            },
        }
        write(folder / file_name(group, api, kind), {"allOf": [{"$ref": f"definitions.json{REF}{name}"}, top]})
    write(folder / "definitions.json", {"definitions": kept})


def custom_resources(module: str, version: str, paths: tuple[str, ...]) -> None:
    """The versions of the kinds in a module's CRDs that are stored: what the chart writes."""
    folder = module_folder(module, version)
    for path in paths:
        spec = yaml.safe_load((folder / path).read_text())["spec"]
        for served in spec["versions"]:
            if served["storage"]:
                schema = strict(served["schema"]["openAPIV3Schema"])
                schema["properties"]["metadata"] = {"type": "object"}
                write(TARGET / "crds" / file_name(spec["group"], served["name"], spec["names"]["kind"]), schema)


if __name__ == "__main__":
    for release in KUBERNETES:
        kubernetes(release)
    custom_resources(*GATEWAY)
    custom_resources(*OPERATOR)
    custom_resources(*KEDA)
