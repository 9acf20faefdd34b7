"""The chart's agents: files that the service itself takes, mounted as a folder that the kubelet keeps up to date."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from app.agents.catalog import Agents
from app.settings import load
from tests.chart.conftest import Render, RenderError

AGENTS: dict[str, Any] = {
    "poet": {"prompt": "Answer in verse:\n- {{ not a template }}\n", "temperature": 0.9, "tools": []},
    "clerk": {"prompt": "Be exact. ä", "limits": {"max_iterations": 2}, "public": False, "allow": ["system"]},
}


def test_without_agents_there_is_no_folder(render: Render) -> None:
    rendered = render()
    assert "AGENTS_DIR" not in rendered.settings()
    assert "agents" not in {volume["name"] for volume in rendered.pod()["volumes"]}


def test_the_service_reads_the_agents_of_the_values(render: Render, tmp_path: Path) -> None:
    rendered = render(agents=AGENTS)
    [mount] = [one for one in rendered.app()["volumeMounts"] if one["name"] == "agents"]
    [volume] = [one for one in rendered.pod()["volumes"] if one["name"] == "agents"]
    assert rendered.settings()["AGENTS_DIR"] == mount["mountPath"]
    assert "subPath" not in mount
    [config] = [one for one in rendered.of("ConfigMap") if one["metadata"]["name"] == volume["configMap"]["name"]]
    for name, text in config["data"].items():
        (tmp_path / name).write_text(text)
        assert yaml.load(text, yaml.CSafeLoader) == AGENTS[name.removesuffix(".yaml")]
    agents = Agents(load(None, agents_dir=tmp_path), {"demo": None}, ("calculator", "clock"))
    assert set(agents) == {"default", "poet", "clerk"}
    assert (agents["poet"].system_prompt, agents["clerk"].public) == (AGENTS["poet"]["prompt"], False)


def test_another_agent_does_not_roll_the_pods(render: Render) -> None:
    def template(prompt: str) -> Any:
        return render(agents={"poet": {"prompt": prompt}}).one("Deployment")["spec"]["template"]

    assert template("a") == template("b")


def test_an_existing_config_map_is_mounted_instead(render: Render) -> None:
    rendered = render(agents=AGENTS, agentsConfigMap="ours")
    [volume] = [one for one in rendered.pod()["volumes"] if one["name"] == "agents"]
    assert volume["configMap"] == {"name": "ours", "defaultMode": 0o444}
    assert len(rendered.of("ConfigMap")) == 1


@pytest.mark.parametrize("agents", [{"a b": {"prompt": "x"}}, {"poet": {"tools": []}}, {"poet": "Answer in verse."}])
def test_what_is_no_agent_is_refused_by_the_schema(render: Render, agents: Any) -> None:
    with pytest.raises(RenderError, match=r"agents|does not match pattern"):
        render(agents=agents)
