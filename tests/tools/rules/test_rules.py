"""Rules on arguments: programs, addresses, and how a tool is held to them."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.messages import ToolCall
from app.telemetry.traces import Tracing
from app.tools import ToolContext, tool
from app.tools.call import call_tool
from app.tools.registry import Registry
from app.tools.result import ToolResult
from app.tools.rules import Programs, ReadOnlySql, Under, Url
from app.tools.rules.rule import ArgumentRefused
from tests.doubles import ADA

GIT = Programs("git", "ls")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("git status", ["git", "status"]),
        ("git log -n 3 --format=%H", ["git", "log", "-n", "3", "--format=%H"]),
        ("ls 'a folder'", ["ls", "a folder"]),
        ('git commit -m "two words"', ["git", "commit", "-m", "two words"]),
        ("git log 'Zoë'", ["git", "log", "Zoë"]),
    ],
)
def test_a_command_line_is_words(line: str, words: list[str]) -> None:
    assert GIT.argv(line) == words


@pytest.mark.parametrize(
    "line",
    [
        "",
        " ",
        "rm -rf /",
        "git; rm -rf /",
        "git && rm x",
        "git || rm x",
        "git | sh",
        "git & rm x",
        "git > /etc/passwd",
        "git < /etc/shadow",
        "git $(rm x)",
        "git `rm x`",
        "git ${IFS}x",
        "git $HOME",
        "git *",
        "git ?",
        "git [a]",
        "git {a,b}",
        "git ~root",
        "git\nrm x",
        "git\rrm x",
        "git\0rm",
        "git \\\nrm",
        "/bin/git status",
        "./git status",
        "../git status",
        "bin/git",
        "GIT status",
        "g\u0456t status",  # with a Cyrillic letter
        "git 'no end",
        "'' git",
        "env git",
        "PATH=/tmp git status",
        "git #x",
        "git !x",
        "git\u2028rm x",
        "git " + "x" * 5_000,
        7,
        None,
    ],
)
def test_a_shells_language_and_other_programs_are_refused(line: object) -> None:
    assert GIT.check(line)


@given(st.text())
def test_whatever_passes_begins_with_an_allowed_program(line: str) -> None:
    if GIT.check(line) is None:
        assert GIT.argv(line)[0] in ("git", "ls")


@pytest.mark.parametrize("names", [(), ("",), ("/bin/ls",), ("ls", "a/b"), ("bash",), ("git", "xargs"), ("python3",)])
def test_programs_that_start_any_other_cannot_be_allowed(names: tuple[str, ...]) -> None:
    with pytest.raises(TypeError, match="Programs"):
        Programs(*names)


PAGES = Url("docs.example", ".wiki.example")


@pytest.mark.parametrize(
    "url",
    ["https://docs.example/", "https://DOCS.example/a?b=c#d", "https://docs.example:8443/", "https://a.wiki.example"],
)
def test_addresses_of_the_hosts_pass(url: str) -> None:
    assert PAGES.check(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "http://docs.example/",
        "https://other.example/",
        "https://docs.example.evil.example/",
        "https://evil-docs.example/",
        "https://wiki.example/",
        "https://docs.example@evil.example/",
        "https://evil.example#@docs.example/",
        "https://evil.example?docs.example",
        "https://evil.example\\docs.example/",
        "https:docs.example",
        "https:///docs.example/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "ftp://docs.example/",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://docs.example\n.evil.example/",
        "https://docs.example:0/",
        "https://docs.example/\r\n",
        " https://docs.example/",
        "//docs.example/",
        "https://d\u043ecs.example/",
        "https://docs.example/" + "x" * 3_000,
        "",
        7,
    ],
)
def test_other_addresses_are_refused(url: object) -> None:
    assert PAGES.check(url)


def test_rules_are_for_parameters_that_there_are() -> None:
    async def look(path: str, ctx: ToolContext) -> str:
        """Look."""
        return path

    with pytest.raises(TypeError, match="rules for pth, but its parameters are path"):
        tool(rules={"pth": Under("/")})(look)
    with pytest.raises(TypeError, match="rules for ctx"):
        tool(rules={"ctx": Under("/")})(look)
    with pytest.raises(TypeError, match="has no method check"):
        tool(rules={"path": "/data"})(look)  # type: ignore[dict-item]
    with pytest.raises(TypeError, match="ReadOnlySql knows"):
        ReadOnlySql("mysql")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="hosts"):
        Url()


called: list[Any] = []


@tool(rules={"path": Under("/srv"), "others": Under("/srv")})
async def read(path: Path, context: ToolContext, others: list[str] | None = None, depth: int = 1) -> str:
    """Read."""
    called.append((path, others, depth, context.caller.user))
    return "read"


async def run(**arguments: Any) -> ToolResult:
    context = ToolContext(ADA, "a-run")
    call = ToolCall("1", "read", arguments)
    return await call_tool(Registry([read]), context, call, slot=lambda _: nullcontext(), tracing=Tracing(None))


async def test_a_call_that_keeps_to_the_rules_is_made() -> None:
    called.clear()
    assert (await run(path="/srv/a", others=["/srv/b"], depth="2")).content == "read"
    assert (await run(path="/srv/a")).status == "ok"
    assert called == [(Path("/srv/a"), ["/srv/b"], 2, "ada"), (Path("/srv/a"), None, 1, "ada")]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"path": "/etc/passwd"}, "- path: is not below /srv"),
        ({"path": "/srv/a", "others": ["/srv", "/x"]}, "- others: "),
    ],
)
async def test_one_that_does_not_is_not_made_and_the_model_reads_why(arguments: dict[str, Any], problem: str) -> None:
    called.clear()
    result = await run(**arguments)
    assert (result.status, result.fault, called) == ("error", "argument_rule", [])
    assert problem in result.content


async def test_the_schema_comes_first() -> None:
    assert (await run(path=["/etc"])).fault == "invalid_arguments"


async def test_a_check_without_a_call_calls_nothing() -> None:
    called.clear()
    context = ToolContext(ADA, "a-run")
    read.check({"path": "/srv/a"}, context)
    with pytest.raises(ArgumentRefused, match="path: is not below"):
        read.check({"path": "/a"}, context)
    with pytest.raises(ValueError, match="path"):
        read.check({}, context)
    assert called == []


def test_a_tool_with_rules_has_the_schema_of_its_function() -> None:
    assert list(read.parameters["properties"]) == ["path", "others", "depth"]
    assert read.parameters["required"] == ["path"]
    assert read.contexts == ("context",)
