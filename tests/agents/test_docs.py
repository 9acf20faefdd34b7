"""docs/agents.md: its commands are run, its files are those of the folder `agents`."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.agents.agent_file import AgentFile
from tests.readme import matches
from tests.service import Service

ROOT = Path(__file__).parent.parent.parent
TEXT = (ROOT / "docs" / "agents.md").read_text()
COMMANDS = re.findall(r"^\$ (.*)\n((?:[^$`].*\n)*)", TEXT, re.MULTILINE)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("agents"), agents_dir=ROOT / "agents")
    yield service
    service.end()


@pytest.mark.parametrize("command", [command for command, _ in COMMANDS if command.startswith("curl")])
def test_what_is_asked_is_answered(command: str, service: Service) -> None:
    local = command.replace("localhost:8000", f"127.0.0.1:{service.port}")
    done = subprocess.run(["bash", "-c", local], capture_output=True, text=True, timeout=30, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    assert "6 * 7" in answer["answer"] or "42" in answer["answer"]


def test_the_check_says_what_is_shown() -> None:
    [(command, shown)] = [(command, shown) for command, shown in COMMANDS if "agents check" in command]
    variables, _, line = command.partition(" ")
    name, _, folder = variables.partition("=")
    arguments = line.split()[1:]
    done = subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        cwd=ROOT,
        env=os.environ | {name: folder},
    )
    assert matches(shown, done.stdout)


def test_the_file_that_is_shown_is_the_example() -> None:
    shown = re.findall(r"```yaml\n# agents/poet\.yaml\n(.*?)```", TEXT, re.DOTALL)
    assert [yaml.safe_load(text) for text in shown] == [yaml.safe_load((ROOT / "agents" / "poet.yaml").read_text())]


def test_every_field_of_a_file_is_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(AgentFile.__struct_fields__)
