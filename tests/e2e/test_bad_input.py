"""What a platform engineer sees when the values are wrong: from helm, `kubectl describe` or `kubectl logs` alone."""

from typing import Any

import pytest

from tests.e2e.cluster import CommandError, Release, eventually, kubectl

REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "wrong type": ("got string, want null or integer", {"replicaCount": "two"}),
    "unknown name": ("'replicas' not allowed", {"replicas": 2}),
    "both secrets": (
        "anthropic.existingSecret and anthropic.apiKey are both set",
        {"models": ["anthropic/m"], "anthropic": {"existingSecret": "a", "apiKey": "b"}},
    ),
    "no model": ("There is no model", {"ollama": {"enabled": True, "model": ""}}),
    "no key": ("there is no key: set anthropic.existingSecret", {"models": ["anthropic/m"]}),
    "open to everyone": ("would open the service to everyone", {"ingress": {"enabled": True}}),
    "no such kind": (
        "ensure CRDs are installed first",
        {"metrics": {"serviceMonitor": {"enabled": True}}},
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_helm_refuses_and_says_why(case: str) -> None:
    sentence, values = REFUSED[case]
    with pytest.raises(CommandError) as refused:
        Release("refused").install(values, wait=False)
    assert sentence in str(refused.value)
    assert "refused" not in kubectl("get", "all,secret", "--output", "name")


# All of them together find room on a laptop.
REQUESTS = {"cpu": "20m", "memory": "16Mi"}
SMALL = {"enabled": True, "resources": {"requests": REQUESTS}}
COMMON = {
    "image": {"tag": "dev"},
    "resources": {"requests": REQUESTS},
    "preStopSeconds": 0,
    "drainSeconds": 1,
}
BROKEN: dict[str, dict[str, Any]] = {
    "no-such-model": {"ollama": SMALL | {"model": "registry.invalid/nobody/nothing:1"}},
    "no-such-secret": {"models": ["anthropic/m"], "anthropic": {"existingSecret": "nowhere"}},
    "no-such-keys": {"auth": {"mode": "api-key", "apiKeys": {"existingSecret": "nowhere"}}},
    "bad-keys": {"auth": {"mode": "api-key", "apiKeys": {"existingSecret": "no-keys"}}},
    "little-memory": {"ollama": SMALL | {"resources": {"requests": REQUESTS, "limits": {"memory": "16Mi"}}}},
    "no-redis": {"redis": {"url": "redis://nobody.nowhere:6379"}},
    "bad-setting": {"extraEnv": [{"name": "RUN_TIMEOUT_SECONDS", "value": "soon"}]},
}


@pytest.fixture(scope="module")
def broken() -> Any:
    """All the broken releases at once, so that their failures take the same time."""
    kubectl("create", "secret", "generic", "no-keys", "--from-literal=keys.jsonl=a key, not its line")
    releases = {name: Release(name) for name in BROKEN}
    for name, one in releases.items():
        one.install(BROKEN[name] | COMMON, wait=False)
    yield releases
    for one in releases.values():
        one.uninstall()


def says(one: Release, *words: str) -> None:
    """Waits until `kubectl describe` has all the words."""

    def missing() -> list[str]:
        described = one.describe()
        return [word for word in words if word not in described]

    try:
        eventually(f"kubectl describe says {words}", 90, lambda: not missing())
    except AssertionError as error:
        raise AssertionError(f"{error}\nmissing: {missing()}\n{one.describe()}") from None


def test_a_model_that_does_not_exist_is_named_by_the_pull(broken: dict[str, Release]) -> None:
    one = broken["no-such-model"]
    says(one, "model registry.invalid/nobody/nothing:1 cannot be pulled", "ollama.model", "Exit Code:    1")
    eventually("the log says it too", 30, lambda: "trying again" in one.logs("pull-models"))


def test_a_secret_that_does_not_exist_is_named_by_the_event(broken: dict[str, Release]) -> None:
    says(broken["no-such-secret"], 'secret "nowhere" not found', "CreateContainerConfigError")


def test_a_file_of_keys_that_does_not_exist_is_named_by_the_event(broken: dict[str, Release]) -> None:
    says(broken["no-such-keys"], 'secret "nowhere" not found', "FailedMount")


def test_a_file_of_keys_that_cannot_be_read_is_named_with_its_line(broken: dict[str, Release]) -> None:
    says(broken["bad-keys"], "API_KEYS_FILE", "line 1: is not JSON", "Exit Code:    2")


def test_an_ollama_without_memory_tells_which_value_to_raise(broken: dict[str, Release]) -> None:
    says(broken["little-memory"], "OOMKilled", "raise ollama.resources.limits.memory")


def test_a_redis_that_does_not_answer_is_named_by_the_log(broken: dict[str, Release]) -> None:
    one = broken["no-redis"]
    eventually("the pod is ready: it can answer without sessions", 60, one.ready_pods)
    eventually("the log says it", 30, lambda: '"dependency":"redis","status":"down"' in one.logs("agent-api"))


def test_a_setting_that_makes_no_sense_is_named_with_exit_code_2(broken: dict[str, Release]) -> None:
    says(broken["bad-setting"], "RUN_TIMEOUT_SECONDS", "Exit Code:    2")
