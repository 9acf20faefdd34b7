"""docs/tools.md: its services answer as it says, its tools are tools, and keep to their rules as it says."""

import re
import shlex
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.errors import ConfigurationError
from app.main import create_app
from app.settings import Settings, load
from app.tools import Tool
from tests.readme import check_together, examples
from tests.service import Service

TEXT = (Path(__file__).parent.parent / "docs" / "tools.md").read_text()
STARTS = re.findall(r"```sh\n(.*?)```\n+```console\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the page has in /data."""
    folder = tmp_path_factory.mktemp("data").resolve()
    (folder / "handbook").mkdir()
    (folder / "handbook" / "leave.md").write_text("30 days a year.\n")
    (folder / "salaries.md").write_text("secret\n")
    with closing(sqlite3.connect(folder / "shop.db")) as connection, connection:
        connection.execute("CREATE TABLE orders (id integer, status text)")
        connection.executemany("INSERT INTO orders VALUES (?, ?)", [(1, "paid"), (2, "open"), (3, "paid")])
    return folder


def settings_of(start: str) -> Mapping[str, Any]:
    *given, make, run = shlex.split(start)
    assert (make, run) == ("make", "run")
    return {name: value for name, _, value in (each.partition("=") for each in given)}


@pytest.mark.parametrize(("start", "block"), STARTS, ids=[start.strip() for start, _ in STARTS])
def test_a_service_that_is_started_as_shown_answers_as_shown(
    start: str, block: str, data: Path, tmp_path: Path
) -> None:
    service = Service(tmp_path, **settings_of(start.replace("/data", str(data))))
    check_together(examples(block.replace("/data", str(data))), service)
    service.end()


def test_a_tool_that_is_not_there_stops_the_start_as_shown() -> None:
    [(name, said)] = re.findall(r"TOOLS=(\S+) .*agents check agents\n(.*)\n", TEXT)
    with pytest.raises(ConfigurationError) as refused:
        create_app(load(None, tools=name))
    assert str(refused.value) == said


@pytest.fixture(scope="module")
def safe_tools() -> ModuleType:
    [source] = re.findall(r"```python\n(# safe_tools\.py\n.*?)```", TEXT, re.DOTALL)
    module = ModuleType("safe_tools")
    exec(compile(source, "safe_tools.py", "exec"), vars(module))
    return module


@pytest.mark.parametrize(
    ("name", "arguments", "passes"),
    [
        ("report", {"path": "/data/reports/a.txt"}, True),
        ("report", {"path": "/data/reports/../secret"}, False),
        ("git", {"command": "git log -n 3"}, True),
        ("git", {"command": "git log; rm -rf /"}, False),
        ("explain", {"query": "SELECT * FROM sales.offers"}, True),
        ("explain", {"query": "SELECT * FROM salaries"}, False),
        ("bookmark", {"page": "https://a.docs.example/x"}, True),
        ("bookmark", {"page": "https://evil.example/"}, False),
    ],
)
def test_its_tools_keep_to_their_rules(
    safe_tools: ModuleType, name: str, arguments: dict[str, Any], passes: bool
) -> None:
    tool: Tool = getattr(safe_tools, name)
    [(parameter, rule)] = tool.rules.items()
    assert (rule.check(arguments[parameter]) is None) is passes


def test_its_tool_in_a_process_of_its_own_is_one(safe_tools: ModuleType) -> None:
    assert safe_tools.parse.isolation == "process"


def test_every_setting_that_it_names_is_there() -> None:
    known = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"`([A-Z]+(?:_[A-Z]+)+)`", TEXT)) - {"PR_SET_DUMPABLE"}
    assert named <= known
    assert named >= {"HTTP_GET_BYTES", "READ_FILE_ROOTS", "SQL_QUERY_URL", "TOOL_PROCESS_BYTES"}
