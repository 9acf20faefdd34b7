"""MCP_SERVERS_FILE: what is wrong with it stops the start, with a word on what to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.errors import ConfigurationError
from app.telemetry.scrubbing import without_secrets
from app.tools.mcp.references import resolved
from app.tools.mcp.servers_file import read_servers


def refusal(folder: Path, text: str, *, stdio: bool = True) -> str:
    path = folder / "mcp.yaml"
    path.write_text(text)
    with pytest.raises(ConfigurationError) as refused:
        read_servers(path, stdio=stdio)
    assert str(refused.value).startswith(f"MCP_SERVERS_FILE: {path}: ")
    return str(refused.value)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("{", "is not YAML"),
        ("servers: 7", "Expected"),
        ("servers: [{name: a, url: 'http://a/mcp', color: red}]", "unknown field `color`"),
        ("servers: [{name: a b, url: 'http://a/mcp'}]", "a name is"),
        ("servers: [{name: a__b, url: 'http://a/mcp'}]", "a name is"),
        ("servers: [{name: a}]", "exactly one of"),
        ("servers: [{name: a, url: 'http://a/mcp', command: b}]", "exactly one of"),
        ("servers: [{name: a, url: 'http://a/mcp', args: [b]}]", "`args` and `env` with `command`"),
        ("servers: [{name: a, command: b, headers: {X: y}}]", "`headers` go with `url`"),
        ("servers: [{name: a, url: 'ftp://a/mcp'}]", "http"),
        ("servers: [{name: a, url: 'http://u:p@a/mcp'}]", "password"),
        ("servers: [{name: a, url: 'http://a/1'}, {name: a, url: 'http://a/2'}]", "two are called a"),
        (
            "servers: [{name: a, url: 'http://a/mcp', headers: {X: '${env:NO_SUCH_VARIABLE}'}}]",
            "NO_SUCH_VARIABLE is not set",
        ),
        ("servers: [{name: a, url: 'http://a/mcp', headers: {X: '${file:/no/such/file}'}}]", "No such file"),
        ("servers: [{name: a, url: 'http://a/mcp', headers: {'X y': 'z'}}]", "no header"),
        ("servers: [{name: a, url: 'http://a/mcp', headers: {X: \"a\\r\\nB: c\"}}]", "no header"),
        ("servers: [{name: a, url: 'http://a/mcp', timeout_seconds: 0}]", "timeout_seconds"),
        ("servers: [{name: a, url: 'http://a/mcp', tools: {b: {trusted: true}}}]", "unknown field `trusted`"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, word: str) -> None:
    assert word in refusal(tmp_path, text)


def test_programs_need_a_setting_of_their_own(tmp_path: Path) -> None:
    assert "MCP_STDIO=true" in refusal(tmp_path, "servers: [{name: a, command: b}]", stdio=False)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="No such file"):
        read_servers(tmp_path / "none", stdio=False)


def test_a_refusal_tells_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "s3cret\nvalue")
    assert "s3cret" not in refusal(tmp_path, "servers: [{name: a, url: 'http://a/', headers: {X: '${env:SECRET}'}}]")


def test_a_service_without_servers_loads_nothing_of_mcp() -> None:
    loaded = "import sys, app.main; print([name for name in ('mcp', 'httpx2', 'jsonschema') if name in sys.modules])"
    told = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


def test_references_stand_for_what_they_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("A", "one")
    monkeypatch.setattr("app.telemetry.scrubbing.known_secrets", set())
    (tmp_path / "b").write_text("two-of-them\n")
    assert resolved(f"${{env:A}} and ${{file:{tmp_path / 'b'}}} and $A") == "one and two-of-them and $A"
    assert "two-of-them" not in without_secrets("it is two-of-them")
