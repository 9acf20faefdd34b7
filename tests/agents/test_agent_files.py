"""Agents as files: what they take, what is refused and in which words, and how a change is taken."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from app import reloading
from app.__main__ import command
from app.agents.agent_file import json_schema
from app.agents.catalog import Agents
from app.agents.definition import Caching
from app.errors import ConfigurationError
from app.settings import load
from tests.logged import capture_logs

TOOLS = ("calculator", "clock")
WHOLE: dict[str, Any] = {
    "name": "clerk",
    "description": "Counts.",
    "prompt": "Be exact.",
    "models": ["demo"],
    "temperature": 0,
    "tools": ["calculator"],
    "limits": {"max_iterations": 2, "max_tokens": 100, "max_run_tokens": 9_000, "max_cost_usd": 0.1},
    "timeout_seconds": 5,
    "history": {"max_tokens": 0},
    "cache": {"enabled": True, "public": True, "ttl_seconds": 60},
    "public": False,
    "allow": ["system"],
}


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reloading, "SETTLE_SECONDS", 0.0)


def write(folder: Path, **agents: Any) -> None:
    for name, agent in agents.items():
        text = agent if isinstance(agent, str) else yaml.safe_dump(agent)
        (folder / f"{name}.yaml").write_text(text)


def agents_of(folder: Path, **settings: Any) -> Agents:
    return Agents(load(None, agents_dir=folder, **settings), {"demo": None}, TOOLS)


def test_without_files_there_is_the_agent_of_the_settings() -> None:
    agents = Agents(load(None, system_prompt="Be kind.", max_iterations=3), {"demo": None}, TOOLS)
    assert list(agents) == ["default"]
    agent = agents["default"]
    assert (agent.system_prompt, agent.tools, agent.limits.max_iterations) == ("Be kind.", TOOLS, 3)
    assert agent.allows == {"temperature", "max_tokens", "response_format"}


def test_a_file_says_everything_of_its_agent(tmp_path: Path) -> None:
    write(tmp_path, anything=WHOLE)
    agent = agents_of(tmp_path)["clerk"]
    assert (agent.system_prompt, agent.models, agent.tools) == ("Be exact.", ("demo",), ("calculator",))
    assert (agent.limits.max_iterations, agent.limits.max_tokens, agent.limits.max_cost_usd) == (2, 100, 0.1)
    assert (agent.timeout_seconds, agent.history_max_tokens, agent.temperature) == (5, 0, 0)
    assert not agent.public
    assert agent.allows == {"system"}
    assert agent.cache == Caching(enabled=True, public=True, ttl_seconds=60)


def test_what_a_file_leaves_out_is_as_the_settings_say(tmp_path: Path) -> None:
    write(tmp_path, poet="prompt: Answer in verse.\n")
    agents = agents_of(tmp_path, max_iterations=3)
    assert agents["poet"].limits == agents["default"].limits
    assert agents["poet"].tools == TOOLS
    assert agents["poet"].public


def test_a_file_turns_the_cache_on_or_off_whatever_the_settings_say(tmp_path: Path) -> None:
    write(
        tmp_path,
        on="prompt: p\ncache: {enabled: true}\n",
        off="prompt: p\ncache: {enabled: false}\n",
        as_set="prompt: p",
    )
    for setting in (True, False):
        agents = agents_of(tmp_path, answer_cache=setting, answer_cache_ttl_seconds=7, stale_if_error_seconds=9)
        assert [agents[name].cache.enabled for name in ("on", "off", "as_set", "default")] == [
            True,
            False,
            setting,
            setting,
        ]
        assert (agents["on"].cache.ttl_seconds, agents["on"].cache.stale_seconds) == (7, 9)


def test_a_file_may_be_the_default_agent(tmp_path: Path) -> None:
    write(tmp_path, default="prompt: Mine.\n")
    assert agents_of(tmp_path)["default"].system_prompt == "Mine."


REFUSED = {
    "no prompt": ({"tools": []}, r"one\.yaml: .*`prompt`"),
    "an unknown field": ({"prompt": "x", "tool": []}, r"one\.yaml: .*unknown field `tool`"),
    "another type": ({"prompt": 3}, r"one\.yaml: Expected `str`, got `int` - at `\$\.prompt`"),
    "an unknown model": ({"prompt": "x", "models": ["gpt"]}, r"models: there is no 'gpt'; there is demo"),
    "an unknown tool": ({"prompt": "x", "tools": ["fly"]}, r"tools: there is no 'fly'; there is calculator, clock"),
    "a bound above the service's": (
        {"prompt": "x", "limits": {"max_iterations": 99}},
        r"limits\.max_iterations: is 99, and the service's own setting allows 10 at most",
    ),
    "a bound of nothing": ({"prompt": "x", "limits": {"max_tokens": 0}}, r"limits\.max_tokens"),
    "a deadline above the service's": ({"prompt": "x", "timeout_seconds": 9_999}, "timeout_seconds: is 9999"),
    "no number": ("prompt: x\ntemperature: .nan\n", r"Expected `float` >= 0.0 - at `\$\.temperature`"),
    "an endless deadline": ("prompt: x\ntimeout_seconds: .inf\n", r"timeout_seconds: is no number"),
    "a name of other characters": ({"prompt": "x", "name": "a b"}, r"\$\.name"),
    "what cannot be allowed": ({"prompt": "x", "allow": ["models"]}, r"Invalid enum value 'models'"),
    "no YAML": ("prompt: [", r"one\.yaml: is not YAML"),
    "no object": ("- a\n", r"one\.yaml: Expected `object`"),
    "nothing": ("", r"one\.yaml: Expected `object`"),
    "an object of Python": ("prompt: !!python/object/apply:os.getcwd []\n", r"one\.yaml: is not YAML"),
}


@pytest.mark.parametrize(("content", "problem"), REFUSED.values(), ids=REFUSED)
def test_a_file_that_cannot_be_meant_stops_the_start_and_says_where(tmp_path: Path, content: Any, problem: str) -> None:
    write(tmp_path, one=content)
    with pytest.raises(ConfigurationError, match=problem) as caught:
        agents_of(tmp_path)
    assert str(caught.value).startswith("AGENTS_DIR: ")


def test_two_agents_of_one_name_are_refused(tmp_path: Path) -> None:
    write(tmp_path, a={"prompt": "x", "name": "one"}, b={"prompt": "x", "name": "one"})
    with pytest.raises(ConfigurationError, match=r"b\.yaml: there already is an agent called 'one'"):
        agents_of(tmp_path)


def test_a_folder_that_is_not_there_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"AGENTS_DIR: .*No such file"):
        agents_of(tmp_path / "none")


def test_a_change_is_taken_and_a_broken_one_is_not(tmp_path: Path) -> None:
    write(tmp_path, poet="prompt: Old.\n")
    agents = agents_of(tmp_path)
    write(tmp_path, poet="prompt: New and longer.\n", clerk=WHOLE)
    agents.refresh()
    assert (agents["poet"].system_prompt, len(agents)) == ("New and longer.", 3)
    write(tmp_path, poet="prompt: 3\n")
    with capture_logs() as logged:
        agents.refresh()
        agents.refresh()
    assert [(line["event"], line["error"]) for line in logged] == [
        ("agents.refused", "poet.yaml: Expected `str`, got `int` - at `$.prompt`")
    ]
    assert agents["poet"].system_prompt == "New and longer."
    (tmp_path / "poet.yaml").unlink()
    agents.refresh()
    assert list(agents) == ["default", "clerk"]


def test_the_schema_takes_what_the_service_takes() -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(WHOLE, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"prompt": "x", "tool": []}, schema)
    assert json.loads(Path("docs/agent.schema.json").read_text()) == schema


def test_the_command_says_what_the_service_would(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, clerk=WHOLE, poet="prompt: Answer in verse.\n")
    assert command(["agents", "check", str(tmp_path)]) == 0
    assert capsys.readouterr().out == "clerk: demo; tools: calculator\npoet: all models; tools: calculator, clock\n"
    write(tmp_path, poet="prompt: 3\n")
    monkeypatch.setenv("AGENTS_DIR", str(tmp_path))
    assert command(["agents", "check"]) == 2
    assert "poet.yaml: Expected `str`" in capsys.readouterr().err
    assert command(["agents", "schema"]) == 0
    assert json.loads(capsys.readouterr().out) == json_schema()
