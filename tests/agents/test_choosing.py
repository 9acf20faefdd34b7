"""Deny by default: an agent has the tools that a list names, and no others."""

import re
from pathlib import Path

import pytest

from app.agents.catalog import DEFAULT, Agents
from app.agents.choosing import chosen
from app.errors import ConfigurationError
from app.settings import load

KNOWN = ("calculator", "clock", "hand_over_to_human", "http_get", "files__list", "files__read", "mine")


def test_an_agent_that_lists_nothing_has_calculator_and_clock() -> None:
    assert Agents(load(None), {"demo": None}, KNOWN)[DEFAULT].tools == ("calculator", "clock")


def test_an_installed_tool_is_nobodys_until_it_is_listed(tmp_path: Path) -> None:
    (tmp_path / "own.yaml").write_text("prompt: x\ntools: [mine, files__*]\n")
    (tmp_path / "none.yaml").write_text("prompt: x\ntools: []\n")
    (tmp_path / "usual.yaml").write_text("prompt: x\n")
    agents = Agents(load(None, agents_dir=tmp_path, tools="clock,mine"), {"demo": None}, KNOWN)
    assert {name: agent.tools for name, agent in agents.items()} == {
        DEFAULT: ("clock", "mine"),
        "own": ("mine", "files__list", "files__read"),
        "none": (),
        "usual": ("clock", "mine"),
    }
    assert Agents(load(None, tools="none"), {"demo": None}, KNOWN)[DEFAULT].tools == ()


def test_names_stand_once_in_the_order_of_the_list() -> None:
    assert chosen(["mine", "files__read", "files__*", "mine"], KNOWN) == ("mine", "files__read", "files__list")
    assert chosen([], KNOWN) == ()


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("serach", "there is no 'serach'; there is calculator, clock, files__list"),
        ("Clock", "there is no 'Clock'"),
        ("git__*", "there is no tool whose name begins with 'git__'; there is calculator"),
        ("read_file", "the tool 'read_file' needs READ_FILE_ROOTS to be set"),
        ("sql_query", "the tool 'sql_query' needs SQL_QUERY_URL to be set"),
        ("*", "nobody is given at once"),
    ],
)
def test_a_name_that_stands_for_no_tool_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        chosen([name], KNOWN)
    (tmp_path / "one.yaml").write_text(f"prompt: x\ntools: ['{name}']\n")
    with pytest.raises(ConfigurationError, match=r"one\.yaml: tools: "):
        Agents(load(None, agents_dir=tmp_path), {"demo": None}, KNOWN)
    if name != "*":
        with pytest.raises(ConfigurationError, match="TOOLS: "):
            Agents(load(None, tools=name), {"demo": None}, KNOWN)
