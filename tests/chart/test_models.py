"""Which models answer, where they come from, and what of that cannot be."""

import re
from typing import Any

import pytest

from tests.chart.conftest import Render, Rendered, RenderError


def init_containers(rendered: Rendered) -> dict[str, Any]:
    return {one["name"]: one for one in rendered.pod().get("initContainers", [])}


def test_without_any_model_configured_the_demo_answers(render: Render) -> None:
    rendered = render()
    assert rendered.settings()["MODELS"] == "demo"
    assert init_containers(rendered) == {}
    assert rendered.of("Secret") == []


def test_the_sidecar_starts_then_its_models_are_pulled_then_the_service_starts(render: Render) -> None:
    rendered = render(ollama={"enabled": True, "model": "llama3.2:1b"})
    assert rendered.settings()["MODELS"] == "ollama/llama3.2:1b"
    assert rendered.settings()["OLLAMA_API_BASE"] == "http://127.0.0.1:11434"
    server, pull = init_containers(rendered).items()
    assert server[0] == "ollama"
    assert server[1]["restartPolicy"] == "Always"
    assert server[1]["startupProbe"]["exec"]["command"] == ["ollama", "list"]
    assert pull[0] == "pull-models"
    assert pull[1]["args"] == ["llama3.2:1b"]
    assert "restartPolicy" not in pull[1]


def test_each_ollama_model_is_pulled_and_the_order_is_kept(render: Render) -> None:
    models = ["anthropic/some-model", "ollama/a:1", "demo", "ollama/b"]
    rendered = render(ollama={"enabled": True}, models=models, anthropic={"existingSecret": "keys"})
    assert rendered.settings()["MODELS"] == ",".join(models)
    assert init_containers(rendered)["pull-models"]["args"] == ["a:1", "b"]


def test_a_server_of_ones_own_replaces_the_sidecar(render: Render) -> None:
    rendered = render(ollama={"url": "http://ollama.models:11434", "model": "llama3.2:1b"})
    assert rendered.settings()["MODELS"] == "ollama/llama3.2:1b"
    assert rendered.settings()["OLLAMA_API_BASE"] == "http://ollama.models:11434"
    assert init_containers(rendered) == {}


def test_a_gpu_is_a_limit_of_the_sidecar(render: Render) -> None:
    rendered = render(ollama={"enabled": True, "gpu": {"enabled": True, "resource": "amd.com/gpu", "count": 2}})
    assert init_containers(rendered)["ollama"]["resources"]["limits"]["amd.com/gpu"] == 2
    assert "amd.com/gpu" not in rendered.app()["resources"]["limits"]


def test_the_strategy_follows_from_where_the_models_are_kept(render: Render) -> None:
    def strategy(**persistence: Any) -> str:
        rendered = render(ollama={"enabled": True, "persistence": persistence})
        kind: str = rendered.one("Deployment")["spec"]["strategy"]["type"]
        return kind

    assert strategy(enabled=False) == "RollingUpdate"
    assert strategy(enabled=True) == "Recreate"
    assert strategy(enabled=True, accessMode="ReadWriteMany") == "RollingUpdate"


def test_the_models_are_kept_on_a_claim(render: Render) -> None:
    def volume(rendered: Rendered) -> Any:
        return next(one for one in rendered.pod()["volumes"] if one["name"] == "ollama")

    made = render(ollama={"enabled": True, "persistence": {"enabled": True, "size": "20Gi", "storageClass": "fast"}})
    claim = made.one("PersistentVolumeClaim")
    assert claim["spec"]["resources"]["requests"]["storage"] == "20Gi"
    assert claim["spec"]["storageClassName"] == "fast"
    assert volume(made)["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]

    own = render(ollama={"enabled": True, "persistence": {"enabled": True, "existingClaim": "mine"}})
    assert own.of("PersistentVolumeClaim") == []
    assert volume(own)["persistentVolumeClaim"]["claimName"] == "mine"

    none = render(ollama={"enabled": True})
    assert volume(none)["emptyDir"] == {"sizeLimit": "8Gi"}


CONTRADICTIONS: list[tuple[str, dict[str, Any]]] = [
    (
        "anthropic.existingSecret and anthropic.apiKey are both set",
        {"models": ["anthropic/m"], "anthropic": {"existingSecret": "a", "apiKey": "b"}},
    ),
    (
        "openai.existingSecret and openai.apiKey are both set",
        {"models": ["openai/m"], "openai": {"existingSecret": "a", "apiKey": "b"}},
    ),
    ("redis.existingSecret and redis.url are both set", {"redis": {"existingSecret": "a", "url": "redis://b"}}),
    ("ollama.enabled and ollama.url are both set", {"ollama": {"enabled": True, "url": "http://a"}}),
    ("There is no model", {"ollama": {"enabled": True, "model": ""}}),
    ("There is no model", {"ollama": {"url": "http://a", "model": ""}}),
    ("but there is no Ollama", {"models": ["demo", "ollama/m"]}),
    ("names no ollama/ model", {"models": ["demo"], "ollama": {"enabled": True}}),
    ("names an anthropic/ model, but there is no key", {"models": ["anthropic/m"]}),
    ("names no anthropic/ model", {"anthropic": {"apiKey": "a"}}),
    ("names an openai/ model, but there is neither a key nor a server", {"models": ["openai/m"]}),
    ("names no openai/ model", {"openai": {"baseUrl": "http://a"}}),
    (
        "one node alone may mount",
        {"replicaCount": 2, "ollama": {"enabled": True, "persistence": {"enabled": True}}},
    ),
    (
        "one node alone may mount",
        {"autoscaling": {"enabled": True}, "ollama": {"enabled": True, "persistence": {"enabled": True}}},
    ),
    ("is above autoscaling.maxReplicas", {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 2}}),
    (
        "needs resources.requests.cpu",
        {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
    ),
    ("httpRoute.enabled needs httpRoute.parentRefs", {"httpRoute": {"enabled": True}}),
]


@pytest.mark.parametrize(("sentence", "values"), CONTRADICTIONS)
def test_values_that_contradict_each_other_are_told_in_a_sentence(
    render: Render, sentence: str, values: dict[str, Any]
) -> None:
    with pytest.raises(RenderError, match=re.escape(sentence)):
        render(**values)
