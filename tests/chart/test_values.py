"""values.schema.json: every value has a place in it, and a typo or a wrong type at any level is refused."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml

from tests.chart.conftest import CHART, KIND_VALUES, Render, RenderError

VALUES: dict[str, Any] = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALIDATOR = jsonschema.Draft7Validator(SCHEMA)

# Names in here are the user's own.
FREE = {
    ("nodeSelector",),
    ("commonLabels",),
    ("podAnnotations",),
    ("podLabels",),
    ("global",),
    ("deploymentAnnotations",),
    ("service", "annotations"),
    ("service", "labels"),
    ("autoscaling", "keda", "annotations"),
    ("ingress", "annotations"),
    ("httpRoute", "annotations"),
    ("serviceAccount", "annotations"),
    ("metrics", "serviceMonitor", "labels"),
    ("metrics", "prometheusRule", "labels"),
    ("metrics", "dashboard", "labels"),
    ("resources", "requests"),
    ("resources", "limits"),
    ("ollama", "resources", "requests"),
    ("ollama", "resources", "limits"),
    ("worker", "resources", "requests"),
    ("worker", "resources", "limits"),
    ("worker", "autoscaling", "keda", "annotations"),
    ("worker", "podAnnotations"),
    ("worker", "podLabels"),
}

# What a list of the defaults that is empty may hold, so that its items are tried too.
ITEMS: dict[str, Any] = {
    "imagePullSecrets": [{"name": "a"}],
    "extraEnv": [{"name": "a", "valueFrom": {"secretKeyRef": {"name": "a", "key": "b"}}}],
    "extraEnvFrom": [{"secretRef": {"name": "a"}}],
    "tolerations": [{"key": "a", "operator": "Exists"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    "dnsConfig": {"nameservers": ["10.0.0.1"], "searches": ["a"], "options": [{"name": "ndots", "value": "2"}]},
    "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}},
    "topologySpreadConstraints": [
        {"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule", "labelSelector": {"matchLabels": {}}}
    ],
    "extraVolumeMounts": [{"name": "a", "mountPath": "/a"}],
    "trustedProxies": ["10.0.0.0/8"],
    "limits": {
        "global": {"perMinute": 1, "concurrent": 1},
        "tiers": {
            "default": {
                "user": {"perMinute": 1, "concurrent": 1},
                "chat": {"perMinute": 1, "concurrent": 1},
                "agent": {"perMinute": 1, "concurrent": 1},
                "tools": {"*": {"perMinute": 1, "concurrent": 1}},
            }
        },
    },
}
FILLED = {**VALUES, **ITEMS}


def objects(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, dict):
        yield path
        for key, value in node.items():
            yield from objects(value, (*path, key))
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from objects(value, (*path, index))


def leaves(node: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(node, dict) and node:
        for key, value in node.items():
            yield from leaves(value, (*path, key))
    else:
        yield path


def replaced(path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The filled defaults with one value set."""
    values = copy.deepcopy(FILLED)
    node: Any = values
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return values


STRICT = [
    path
    for path in objects(FILLED)
    if path not in FREE and path[-1:] not in (("matchLabels",), ("affinity",)) and path[:1] != ("nodeSelector",)
]


def test_the_defaults_are_valid() -> None:
    VALIDATOR.validate(VALUES)
    VALIDATOR.validate(FILLED)
    VALIDATOR.validate(yaml.load(KIND_VALUES.read_text(), yaml.CSafeLoader))


def test_the_schema_has_no_value_that_the_chart_has_not() -> None:
    """`enabled` is the condition of a chart that has this one as a part."""
    assert SCHEMA["properties"].keys() == VALUES.keys() | {"enabled"}


@pytest.mark.parametrize("path", STRICT, ids=lambda path: ".".join(map(str, path)) or "top")
def test_an_unknown_name_is_refused_at_each_level(path: tuple[str | int, ...]) -> None:
    assert not VALIDATOR.is_valid(replaced((*path, "typo"), "x"))


def test_an_affinity_has_only_its_three_kinds() -> None:
    assert not VALIDATOR.is_valid(replaced(("affinity", "podAntiAfinity"), {}))


@pytest.mark.parametrize("path", list(leaves(FILLED)), ids=lambda path: ".".join(map(str, path)))
def test_a_wrong_type_is_refused_at_each_value(path: tuple[str | int, ...]) -> None:
    wrong: Any = "text" if isinstance(lookup(path), bool | int | float | list | dict) else [1]
    assert not VALIDATOR.is_valid(replaced(path, wrong))


def lookup(path: tuple[str | int, ...]) -> Any:
    node: Any = FILLED
    for key in path:
        node = node[key]
    return node


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"replicas": 2}, "replicas"),
        ({"image": {"tags": "dev"}}, "tags"),
        ({"ollama": {"persistence": {"enable": True}}}, "enable"),
        ({"autoscaling": {"behavior": {"scaleUp": {"policies": [{"typ": "Pods"}]}}}}, "typ"),
        ({"replicaCount": "two"}, "replicaCount"),
        ({"models": ["antropic/claude"]}, "models"),
        ({"models": ["ollama/a,demo"]}, "models"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({"redis": {"url": "valkey:6379"}}, "url"),
        ({"auth": {"modus": "jwt"}}, "modus"),
        ({"auth": {"mode": "password"}}, "mode"),
        ({"auth": {"jwt": {"jwksUrl": "idp.example/keys"}}}, "jwksUrl"),
        ({"limits": {"tiers": {"default": {"chat": {"perHour": 5}}}}}, "perHour"),
        ({"budgets": {"userDay": {"euro": 5}}}, "euro"),
        ({"tracing": {"endpoint": "jaeger:4317"}}, "endpoint"),
        ({"tracing": {"ratio": 10}}, "ratio"),
        ({"logLevel": "verbose"}, "logLevel"),
        ({"maxBodyBytes": 1.5}, "maxBodyBytes"),
    ],
    ids=lambda value: str(value)[:40],
)
def test_helm_names_what_is_wrong(render: Render, values: dict[str, Any], said: str) -> None:
    with pytest.raises(RenderError, match=said):
        render(**values)
