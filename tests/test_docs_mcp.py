"""docs/mcp.md: its server is started, its tool pinned and called, as it says."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.tools.mcp import definition, schema
from app.tools.mcp.servers_file import Choice, McpServer
from tests.readme import check, examples, matches
from tests.redis_server import free_port
from tests.service import REPOSITORY, Service, environment

TEXT = (REPOSITORY / "docs" / "mcp.md").read_text()
COMMANDS = [example for block in re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL) for example in examples(block)]


def block(language: str, port: int) -> str:
    found = re.search(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)
    assert found is not None
    return found[1].replace("8931", str(port))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """With the server of the page, running."""
    port = free_port()
    (tmp_path / "weather.py").write_text(block("python", port))
    (tmp_path / "mcp.yaml").write_text(block("yaml", port))
    server = subprocess.Popen(
        [sys.executable, "weather.py"],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/", trust_env=False)
                break
            except httpx.TransportError:
                assert server.poll() is None
                time.sleep(0.05)
        yield tmp_path
    finally:
        server.kill()
        server.wait()


def test_the_page_is_true_from_its_first_line_to_its_last(folder: Path) -> None:
    pins = [example for example in COMMANDS if "tools pin" in example[0]]
    asked = [example for example in COMMANDS if example[0].startswith("curl")]
    assert len(pins) + len(asked) == len(COMMANDS)
    for command, shown in pins:
        arguments = command.split(" -m ")[1].split()
        done = subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=folder,
            env=environment(mcp_servers_file="mcp.yaml"),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert matches(shown, done.stdout), done.stdout + done.stderr
        assert done.returncode == (0 if "--write" in command else 1)
    given = re.search(r"TOOLS='(.*?)'", TEXT)
    assert given is not None
    service = Service(folder / "service", mcp_servers_file=folder / "mcp.yaml", tools=given[1])
    try:
        service.wait_for_event("mcp.connected")
        for command, shown in asked:
            check(command, shown, service)
    finally:
        service.end()


def test_the_bounds_that_it_names_are_those_of_the_code() -> None:
    assert f"{definition.MAX_DESCRIPTION_CHARS:,} characters" in TEXT
    assert f"{schema.MAX_BYTES // 1024} KiB, {schema.MAX_NODES} parts or {schema.MAX_DEPTH} levels" in TEXT


def test_it_names_every_field_of_the_file() -> None:
    named = set(re.findall(r"`(\w+)`", TEXT[TEXT.index("## The file") : TEXT.index("## Pins")]))
    assert set(McpServer.__struct_fields__) | set(Choice.__struct_fields__) <= named
