"""Secrets: by reference first, and never in a ConfigMap or in a pod's plain environment."""

import base64
from typing import Any

import pytest
import yaml

from tests.chart.conftest import Render, Rendered, RenderError

REFERENCES = [
    ("ANTHROPIC_API_KEY", "anthropic", {"models": ["anthropic/m"]}),
    ("OPENAI_API_KEY", "openai", {"models": ["openai/m"]}),
    ("REDIS_URL", "redis", {}),
]


def reference(rendered: Rendered, name: str) -> Any:
    return next(one for one in rendered.app()["env"] if one["name"] == name)["valueFrom"]["secretKeyRef"]


@pytest.mark.parametrize(("variable", "group", "values"), REFERENCES)
def test_a_secret_of_ones_own_is_named_and_none_is_made(
    render: Render, variable: str, group: str, values: dict[str, Any]
) -> None:
    rendered = render(**values, **{group: {"existingSecret": "mine", "existingSecretKey": "the-key"}})
    assert reference(rendered, variable) == {"name": "mine", "key": "the-key"}
    assert rendered.of("Secret") == []


@pytest.mark.parametrize(("variable", "group", "values"), REFERENCES)
def test_a_value_lands_in_the_chart_s_secret_and_nowhere_else(
    render: Render, variable: str, group: str, values: dict[str, Any]
) -> None:
    key, value = ("url", "redis://:hunter2@host") if group == "redis" else ("apiKey", "sk-hunter2")
    rendered = render(**values, **{group: {key: value}})
    secret = rendered.one("Secret")
    assert base64.b64decode(secret["data"][variable]).decode() == value
    assert reference(rendered, variable) == {"name": secret["metadata"]["name"], "key": variable}
    others = [one for one in rendered.manifests if one["kind"] != "Secret"]
    assert "hunter2" not in yaml.safe_dump(others)


PASSWORDS: list[dict[str, Any]] = [
    {"redis": {"url": url}}
    for url in (
        "valkey:hunter2@host:6379",
        "http://:hunter2@host",
        "redis://:hunter2@",
        "redis://:hunter2%zz@ho st:6379",
        "redis://:hunter2@host:port/0",
        "redis://:hunter2@host:6379:1",
        ["redis://:hunter2@host"],
        {"password": "hunter2"},
    )
]
PASSWORDS += [
    {"redis": {"url": "redis://:hunter2@host", "existingSecret": "redis"}},
    {"redis": {"url": "redis://:hunter2@host", "tls": {"existingSecret": "ca"}}},
    {"redis": "redis://:hunter2@host"},
    {"ollama": {"url": "ollama://me:hunter2@host"}},
    {"openai": {"baseUrl": "vllm:hunter2@host"}},
    {"anthropic": {"baseUrl": "a:hunter2@host"}},
    {"anthropic": {"apiKey": "hunter2", "existingSecret": "a"}, "models": ["anthropic/m"]},
    {"openai": {"apiKey": ["hunter2"]}},
    {"tracing": {"endpoint": "grpc://me:hunter2@host"}},
    {"auth": {"jwt": {"jwksUrl": "ftp://me:hunter2@host", "issuer": "i", "audience": "a"}, "mode": "jwt"}},
    {"extraEnv": [{"name": "REDIS_URL", "value": ["redis://:hunter2@host"]}]},
    {"extraEnv": [{"name": "REDIS_URL", "value": "redis://:hunter2%zz@host:x"}], "replicaCount": -1},
]


@pytest.mark.parametrize("values", PASSWORDS, ids=lambda values: str(values)[:60])
def test_what_is_refused_is_told_without_the_password(render: Render, values: dict[str, Any]) -> None:
    with pytest.raises(RenderError) as refused:
        render(**values)
    assert "hunter2" not in str(refused.value)
    assert any(name in str(refused.value) for name in values)


@pytest.mark.parametrize("password", ["p%40ss", "a:b", "a@b", "a+b=c&d", "%", "%zz", "ü"])
def test_whatever_a_password_is_the_port_is_found(render: Render, password: str) -> None:
    rendered = render(redis={"url": f"redis://user:{password}@valkey.example:6380/0?protocol=3"})
    ports = [port["port"] for rule in rendered.one("NetworkPolicy")["spec"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 6380]
