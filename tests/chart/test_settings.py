"""Every setting of the service has a value of the chart, and each value arrives."""

import json
import subprocess
import sys
from typing import Any

import pytest
import yaml

from app.settings import Settings, load
from scripts.chart_settings import COMPOSED, made, plain, schema, switches_off
from tests.chart.conftest import CHART, ROOT, Render, RenderError
from tests.chart.reading import variables
from tests.chart.values import EVERY_NAME, EVERYTHING, LIMITS, WORKER

VALUES: dict[str, Any] = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)


def test_what_is_made_from_the_settings_is_fresh() -> None:
    command = [sys.executable, "-m", "scripts.chart_settings", "--check"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_setting_is_plain_or_composed() -> None:
    assert Settings.model_fields.keys() == plain().keys() | COMPOSED
    assert not plain().keys() & COMPOSED


def nested(path: str, value: Any) -> dict[str, Any]:
    for key in reversed(path.split(".")):
        value = {key: value}
    return dict(value)


def at(path: str) -> Any:
    node: Any = VALUES
    for key in path.split("."):
        node = node[key]
    return node


OTHER: dict[str, Any] = {
    "model_tiers": {"simple": "openai/s", "complex": "openai/c"},
    "model_options": {"openai/m": {"tools": False, "context_window": 8192, "price": {"input": 0.1, "output": 2}}},
    "unknown_price": "allow",
    "ollama_keep_alive": "1h30m",
    "limits_fail": "closed",
    "log_level": "debug",
    "log_format": "console",
    "trusted_proxies": ["10.0.0.0/8", "::1/128"],
    "cors_origins": ["https://a.example", "https://b.example"],
    "anthropic_base_url": "https://a.example",
    "openai_base_url": "https://a.example/v1",
    "trace_dialects": ["otel", "openinference"],
    "trace_hosts": ["tools.example", ".internal"],
    "webhook_hosts": ["hooks.example", ".internal"],
    "http_get_hosts": ["docs.example", ".internal"],
    "redact": ["secrets", "emails"],
    "tools": ["clock", "files__*"],
    "read_file_roots": ["/data", "/srv/docs"],
}


def another(name: str) -> Any:
    """A value that the setting takes and that is not its default."""
    if name in OTHER:
        return OTHER[name]
    schema = Settings.model_json_schema()["properties"][name]
    kind = next(one for one in schema.get("anyOf", [schema]) if one.get("type") != "null")
    if "enum" in kind:
        return next(one for one in kind["enum"] if one != Settings.model_fields[name].get_default())
    default = Settings.model_fields[name].get_default()
    match kind["type"]:
        case "boolean":
            return not default
        case "array":
            return ["https://a.example"]
        case "integer" | "number":
            low, high = kind.get("minimum", kind.get("exclusiveMinimum", 0) + 1), kind.get("maximum")
            candidate = low + 1 if low + 1 != default else low + 2
            return candidate if high is None or candidate <= high else low
        case _:
            return "other"


@pytest.mark.parametrize("name", plain())
def test_a_plain_setting_arrives(render: Render, name: str) -> None:
    wanted, path = another(name), plain()[name]
    if path.startswith("openai."):
        extra: dict[str, Any] = {"models": ["openai/m"]}
    else:
        extra = {}
    settings = render(**nested(path, wanted), **extra).read()
    found = getattr(settings, name)
    if isinstance(wanted, dict):
        found = json.loads(found)
    if name == "read_file_roots":
        found = tuple(map(str, found))
    assert found == (tuple(wanted) if isinstance(wanted, list) else wanted)
    assert found != Settings.model_fields[name].get_default()


SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())


def bounds(schema: dict[str, Any]) -> tuple[Any, Any]:
    return schema.get("minimum", schema.get("exclusiveMinimum")), schema.get("maximum")


MADE = made()


@pytest.mark.parametrize("name", [name for name in plain() if name not in MADE])
def test_a_value_written_by_hand_has_the_bounds_of_its_setting(name: str) -> None:
    node = SCHEMA
    for key in plain()[name].split("."):
        node = node["properties"][key]
    assert bounds(node) == bounds(schema(name))


@pytest.mark.parametrize("scope", ["user_day", "team_month", "global_day"])
@pytest.mark.parametrize("unit", ["usd", "tokens"])
def test_a_budget_has_the_maximum_of_its_setting_and_0_for_none(scope: str, unit: str) -> None:
    node = SCHEMA["definitions"]["budget"]["properties"][unit]
    given = Settings.model_json_schema()["properties"][f"budget_{scope}_{unit}"]
    assert bounds(node) == (0, bounds(given["anyOf"][0])[1])


OFF = [name for name in plain() if switches_off(name)]


@pytest.mark.parametrize("off", ["off", False], ids=["quoted", "as YAML reads it"])
@pytest.mark.parametrize("name", OFF)
def test_off_switches_off(render: Render, name: str, off: Any) -> None:
    assert getattr(render(**nested(plain()[name], off)).read(), name) is None


@pytest.mark.parametrize("name", plain())
def test_the_default_of_a_plain_setting_is_the_service_s_own(render: Render, name: str) -> None:
    assert getattr(render().read(), name) == getattr(load(None), name)


@pytest.mark.parametrize("name", plain())
def test_null_leaves_a_plain_setting_to_the_service(render: Render, name: str) -> None:
    assert name.upper() not in render(**nested(plain()[name], None)).settings()


def test_each_composed_setting_is_set_by_some_value(render: Render) -> None:
    cases: list[dict[str, Any]] = [
        EVERYTHING,
        EVERY_NAME,
        {name: WORKER[name] for name in ("redis", "runQueue", "webhooks")},
        {name: WORKER[name] for name in ("guardRules", "redactionRules", "sqlQuery", "mcp", "auditKey")},
        {"systemPrompt": "x" * 100_000, "limits": LIMITS},
        {"agents": {"poet": {"prompt": "Answer in verse."}}},
        {
            "auth": {
                "mode": "jwt",
                "jwt": {"issuer": "i", "audience": "a", "jwksUrl": "http://idp/keys", "allowHttp": True},
            }
        },
        {"auth": {"mode": "jwt", "jwt": {"issuer": "i", "audience": "a", "publicKey": "PEM"}}},
        {
            "budgets": {name: {"usd": 1, "tokens": 1} for name in ("userDay", "teamMonth", "globalDay")},
        },
    ]
    found: set[str] = set()
    for values in cases:
        rendered = render(**values)
        found |= rendered.settings().keys() | variables(rendered.app()).keys()
    assert {name.upper() for name in COMPOSED} <= found


PROMPT = "Sei höflich. "


def test_a_short_prompt_is_a_variable(render: Render) -> None:
    rendered = render(systemPrompt=PROMPT)
    assert rendered.settings()["SYSTEM_PROMPT"] == PROMPT
    assert len(rendered.of("ConfigMap")) == 1


def test_a_prompt_longer_than_a_variable_is_a_file(render: Render) -> None:
    text = PROMPT * 11_000
    assert len(text.encode()) > 128 * 1024
    rendered = render(systemPrompt=text)
    assert "SYSTEM_PROMPT" not in rendered.settings()
    path = rendered.settings()["SYSTEM_PROMPT_FILE"]
    [mount] = [one for one in rendered.app()["volumeMounts"] if one["name"] == "prompt"]
    [volume] = [one for one in rendered.pod()["volumes"] if one["name"] == "prompt"]
    [config] = [one for one in rendered.of("ConfigMap") if one["metadata"]["name"] == volume["configMap"]["name"]]
    assert path == f"{mount['mountPath']}/system-prompt.txt"
    assert config["data"] == {"system-prompt.txt": text}


def test_another_long_prompt_rolls_the_pods(render: Render) -> None:
    def checksum(text: str) -> str:
        found = render(systemPrompt=text).one("Deployment")["spec"]["template"]["metadata"]["annotations"]
        return str(found["checksum/config"])

    assert checksum("a" * 200_000) != checksum("b" * 200_000)


@pytest.mark.parametrize("text", ["x" * 900_001, "ö" * 450_001], ids=["characters", "bytes"])
def test_a_prompt_that_no_config_map_takes_is_refused(render: Render, text: str) -> None:
    with pytest.raises(RenderError, match=r"systemPrompt"):
        render(systemPrompt=text)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"extraEnv": [{"name": "BIG", "value": "x" * 140_000}]}, "extraEnv: BIG"),
        ({"ollama": {"enabled": True, "extraEnv": [{"name": "BIG", "value": "x" * 140_000}]}}, "ollama.extraEnv: BIG"),
        ({"corsOrigins": [f"https://{n:0>60}.example" for n in range(2_000)]}, "CORS_ORIGINS"),
    ],
    ids=["extraEnv", "sidecar", "setting"],
)
def test_a_variable_that_no_process_can_be_started_with_is_refused(
    render: Render, values: dict[str, Any], named: str
) -> None:
    with pytest.raises(RenderError, match=f"{named} .*128 KiB"):
        render(**values)
