"""The documents about the chart keep to what the chart is."""

import re
import shlex
import subprocess
import sys

import pytest
import yaml

from tests.chart.conftest import CHART, ROOT, RenderError

GUIDE = "".join((ROOT / "docs" / name).read_text() for name in ("kubernetes.md", "limits.md"))
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
COMMANDS = [line for block in BLOCKS for line in block.replace("\\\n", "").splitlines()]
INSTALLS = [line for line in COMMANDS if re.match(r"helm (install|upgrade) ", line)]


def test_the_table_of_values_is_fresh() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "chart_docs.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", INSTALLS)
def test_each_install_of_the_guide_renders(helm: str, command: str) -> None:
    arguments = [word for word in shlex.split(command)[2:] if word not in ("--wait", "--reset-then-reuse-values")]
    arguments[arguments.index("charts/agent-api")] = str(CHART)
    if "--timeout" in arguments:
        at = arguments.index("--timeout")
        del arguments[at : at + 2]
    template = [helm, "template", *arguments, "--kube-version", "1.34.0"]
    done = subprocess.run(template, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr)
    assert "kind: Deployment" in done.stdout


def test_the_values_for_models_render(helm: str) -> None:
    [values] = re.findall(r"```yaml\n# models\.yaml\n(.*?)```", GUIDE, re.DOTALL)
    template = [helm, "template", "models", str(CHART), "--kube-version", "1.34.0", "--values", "-"]
    done = subprocess.run(template, input=values, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RenderError(done.stderr)
    assert "STREAM_RECOVERY: continue" in done.stdout


def test_each_value_that_the_guide_names_exists() -> None:
    values = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)
    paths = re.findall(r"`([a-z][A-Za-z]+(?:\.[A-Za-z]+)+)(?:\.\*)?(?::[^`]*)?`", GUIDE)
    named = [path for path in paths if path.split(".")[0] in values]
    assert len(named) > 15
    for path in named:
        node = values
        for key in path.split("."):
            assert key in node, f"{path} is no value of the chart"
            node = node[key]


def test_the_chart_says_whose_it_is_and_which_images_it_runs() -> None:
    chart = yaml.load((CHART / "Chart.yaml").read_text(), yaml.CSafeLoader)
    values = yaml.load((CHART / "values.yaml").read_text(), yaml.CSafeLoader)
    for name in ("home", "icon", "sources", "maintainers", "keywords"):
        assert chart[name], name
    notes = chart["annotations"]
    images = {one["name"]: one["image"] for one in yaml.load(notes["artifacthub.io/images"], yaml.CSafeLoader)}
    ollama = values["ollama"]["image"]
    assert images == {
        "agent-api": f"{values['image']['repository']}:{chart['appVersion']}",
        "ollama": f"{ollama['repository']}:{ollama['tag']}",
    }
    for name in ("links", "changes"):
        assert all(
            one.keys() in ({"name", "url"}, {"kind", "description"})
            for one in yaml.load(notes[f"artifacthub.io/{name}"], yaml.CSafeLoader)
        )
