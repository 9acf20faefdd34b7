"""Which tools a process finds: its own, and real installed packages' by their entry points."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from app.errors import ConfigurationError, NotFound
from app.settings import load as settings
from app.tools import Tool, tool
from app.tools import registry as tool_registry
from app.tools.built_in.calculator import calculator
from app.tools.built_in.clock import clock
from app.tools.built_in.hand_over import hand_over_to_human
from app.tools.registry import Registry

BUILT_IN = ["calculator", "clock", "hand_over_to_human", "http_get"]
"""Without further settings."""

TOOLS = '''
from app.tools import tool

@tool
async def {name}(x: int) -> int:
    """Add one."""
    return x + 1
'''

Install = Callable[[str, str, str], None]


def test_of_the_built_in_tools_only_those_are_pure_that_always_say_the_same() -> None:
    assert (calculator.pure, clock.pure) == (True, False)


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Installs a package of one module as an installer leaves it: the module and a dist-info directory."""
    modules: list[str] = []

    def write(module: str, source: str, entry_points: str) -> None:
        (tmp_path / f"{module}.py").write_text(source)
        info = tmp_path / f"{module}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module.replace('_', '-')}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[agent_api.tools]\n{entry_points}\n")
        modules.append(module)
        importlib.invalidate_caches()

    monkeypatch.syspath_prepend(tmp_path)
    yield write
    for module in modules:
        sys.modules.pop(module, None)


def load() -> Registry:
    return tool_registry.load(settings(None))


def named(name: str) -> Tool:
    @tool(name=name)
    async def it() -> None:
        """It."""

    return it


def test_what_is_built_in() -> None:
    found = load()
    assert list(found) == BUILT_IN
    assert all(found[tool.name] is tool for tool in (calculator, clock, hand_over_to_human))


def test_a_registry_is_an_immutable_mapping() -> None:
    registry = Registry([named("a"), named("b")])
    assert list(registry) == ["a", "b"]
    assert len(registry) == 2
    assert [t.name for t in registry.values()] == ["a", "b"]
    with pytest.raises(TypeError):
        registry["c"] = named("c")  # type: ignore[index]


def test_an_unknown_tool_is_not_found() -> None:
    registry = Registry([named("a")])
    assert "b" not in registry
    assert registry.get("b") is None
    with pytest.raises(NotFound, match="'b'"):
        registry["b"]


def test_a_subset_has_the_tools_asked_for_once_each() -> None:
    registry = Registry([named("a"), named("b"), named("c")])
    assert list(registry.subset(["c", "a", "c"])) == ["c", "a"]
    assert registry.subset(["c"])["c"] is registry["c"]
    assert list(registry.subset([])) == []


def test_a_subset_with_an_unknown_name_is_not_found() -> None:
    with pytest.raises(NotFound, match="'x'"):
        Registry([named("a")]).subset(["a", "x"])


def test_two_tools_of_one_name_are_a_type_error() -> None:
    with pytest.raises(TypeError, match="two tools are called 'a'"):
        Registry([named("a"), named("a")])


def test_the_same_tool_twice_is_one() -> None:
    one = named("a")
    assert len(Registry([one, one])) == 1


async def test_a_tool_of_an_installed_package_is_found(install: Install) -> None:
    install("plug_one", TOOLS.format(name="add_one"), "add = plug_one:add_one")
    assert list(load()) == [*BUILT_IN, "add_one"]
    assert await load()["add_one"].validate({"x": 1}) == 2


async def test_a_tool_with_postponed_annotations_is_found(install: Install) -> None:
    source = "from __future__ import annotations\nfrom enum import StrEnum\n" + TOOLS.format(name="later").replace(
        "x: int)", "x: Size)"
    )
    install("plug_later", source.replace("@tool", "class Size(StrEnum):\n    S = '1'\n\n@tool"), "t = plug_later")
    assert load()["later"].parameters["properties"] == {"x": {"type": "string", "enum": ["1"]}}


def test_an_entry_point_may_name_a_module(install: Install) -> None:
    source = TOOLS.format(name="first") + TOOLS.format(name="second") + "from app.tools.built_in.clock import clock\n"
    install("plug_module", source, "all = plug_module")
    assert set(load()) == {*BUILT_IN, "first", "second"}


def test_an_entry_point_may_name_an_iterable(install: Install) -> None:
    source = TOOLS.format(name="first") + TOOLS.format(name="second") + "some = (first,)\n"
    install("plug_tuple", source, "some = plug_tuple:some")
    assert set(load()) == {*BUILT_IN, "first"}


def test_several_packages_add_up_in_the_order_of_their_names(install: Install) -> None:
    install("plug_z", TOOLS.format(name="z"), "tools = plug_z")
    install("plug_a", TOOLS.format(name="a"), "tools = plug_a")
    assert list(load()) == [*BUILT_IN, "a", "z"]


@pytest.mark.parametrize(
    ("source", "target", "problem"),
    [
        ("import surely_not_installed", "plug_bad", "ModuleNotFoundError"),
        ("raise SystemExit(3)", "plug_bad", "SystemExit"),
        ("def broken(:", "plug_bad", "SyntaxError"),
        ("", "plug_bad:missing", "AttributeError"),
        ("", "plug_bad", "no tools"),
        ("tools = []", "plug_bad:tools", "no tools"),
        ("tools = 42", "plug_bad:tools", "not iterable"),
        ("tools = ['x']", "plug_bad:tools", "'x' is not a tool"),
        ("async def f() -> None:\n    'Doc.'", "plug_bad:f", "@tool missing"),
        (TOOLS.format(name="clock"), "plug_bad:clock", "already is a tool called 'clock'"),
        (TOOLS.format(name="a") + "@tool\nasync def b():\n    pass", "plug_bad", "docstring"),
    ],
)
def test_a_broken_entry_point_stops_the_start_and_is_named(
    install: Install, source: str, target: str, problem: str
) -> None:
    install("plug_bad", source, f"mine = {target}")
    with pytest.raises(ConfigurationError) as caught:
        load()
    for part in ("'plug-bad'", "'mine'", target, problem):
        assert part in str(caught.value)
