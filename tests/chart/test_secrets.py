"""Secrets: by reference first, and never in a ConfigMap or in a pod's plain environment."""

import base64
from typing import Any

import pytest
import yaml

from tests.chart.conftest import Render, Rendered

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
