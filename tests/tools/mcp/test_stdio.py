"""Tools of a real MCP server that is a program: started without the service's environment, and ended with it."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.tools.mcp.stage import McpStage

PROGRAM = Path(__file__).parent / "stdio_server.py"


def staged(folder: Path, **fields: Any) -> McpStage:
    return McpStage(
        folder, {"name": "one", "command": sys.executable, "args": [str(PROGRAM)], **fields}, mcp_stdio=True
    )


async def test_its_tools_are_called_it_may_die_and_sends_only_so_much(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.mcp.connection.SOONEST_SECONDS", 0.02)
    monkeypatch.setattr("app.tools.mcp.connection.CONNECT_SECONDS", 60)
    monkeypatch.setattr("app.tools.mcp.offers.CONNECT_SECONDS", 60)
    monkeypatch.setenv("SERVICE_SECRET", "s3cret")
    stage = staged(tmp_path, env={"GREETING": "hello"})
    assert set((await stage.pin())["one"]) == {"echo", "environment", "huge", "die"}
    async with stage.connected() as connected:
        await connected.until(lambda it: it.status("one") == "ok")
        assert (await connected.call("one__echo")).content == "echo"
        environment = json.loads((await connected.call("one__environment")).content)
        assert environment.keys() - {"LC_CTYPE"} == {"PATH", "GREETING"}
        assert environment["PATH"] == os.defpath
        assert (await connected.call("one__die")).status == "error"
        await connected.until(lambda it: it.status("one") == "away")
        await connected.until(lambda it: it.status("one") == "ok")
        assert (await connected.call("one__echo")).content == "echo"
        assert (await connected.call("one__huge")).status == "error"


async def test_a_program_that_is_not_there_is_a_server_that_is_away(tmp_path: Path) -> None:
    stage = staged(tmp_path, command="/no/such/program", args=())
    async with stage.connected() as connected:
        await connected.until(lambda it: it.status("one") == "away")


async def test_a_program_that_speaks_no_mcp_is_a_server_that_is_away(tmp_path: Path) -> None:
    stage = staged(tmp_path, command="/bin/echo", args=("hello",))
    async with stage.connected() as connected:
        await connected.until(lambda it: it.status("one") == "away")
