"""The README's package of tools: installed as it is printed, and called."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Serve
from tests.service import REPOSITORY

README = REPOSITORY / "README.md"


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """The files of the chapter, each under the name in its first line."""
    chapter = README.read_text().partition("\n## Tools\n")[2].partition("\n## ")[0]
    files = re.findall(r"```\w+\n(# ([\w.]+)\n.*?)```", chapter, re.DOTALL)
    assert [name for _, name in files] == ["my_tools.py", "pyproject.toml"]
    folder = tmp_path / "my-tools"
    folder.mkdir()
    for content, name in files:
        (folder / name).write_text(content)
    return folder


def test_the_package_can_be_installed_as_printed_and_called(package: Path, serve: Serve, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    uv = str(Path(sys.executable).with_name("uv"))
    command = [uv, "pip", "install", "--quiet", "--python", sys.executable, "--target", str(installed), str(package)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    service = serve(pythonpath=installed, tools="calculator,stock")
    assert "stock" in {tool["name"] for tool in service.ask("GET", "/api/tools").json()}
    for article, answer in (
        ("bolt", {"success": True, "result": 12, "error": None}),
        ("nut", {"success": False, "result": None, "error": "There is no article 'nut'."}),
    ):
        assert service.ask("POST", "/api/tools/stock", {"article": article}).json() == answer
