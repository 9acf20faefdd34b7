"""Servers that speak HTTP and mean no good: they are away, and nothing of the service goes elsewhere."""

import gzip
from pathlib import Path

import pytest

from tests.models.servers import Provider, Reply
from tests.tools.mcp.stage import McpStage

TOOLS = b'{"jsonrpc":"2.0","id":1,"result":{"tools":[]}}'
JSON = {"Content-Type": "application/json"}


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.tools.mcp.connection.CONNECT_SECONDS", 1)


async def away(folder: Path, server: Provider) -> None:
    """It is asked with a secret, and its connection comes to nothing."""
    headers = {"Authorization": "Bearer s3cret-of-the-service"}
    stage = McpStage(folder, {"name": "one", "url": f"{server.url}/mcp", "headers": headers})
    async with stage.connected() as connected:
        await connected.until(lambda it: it.status("one") == "away")
    assert server.received[0].headers["authorization"] == "Bearer s3cret-of-the-service"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_to_elsewhere_are_not_followed(tmp_path: Path, status: int) -> None:
    async with Provider() as server, Provider() as elsewhere:
        server.will(Reply(status=status, headers={"Location": f"{elsewhere.url}/mcp"}))
        elsewhere.will(Reply([TOOLS], headers=JSON))
        await away(tmp_path, server)
        assert elsewhere.received == []


async def test_compressed_answers_are_refused(tmp_path: Path) -> None:
    async with Provider() as server:
        bomb = gzip.compress(b" " * 50_000_000)
        server.will(Reply([bomb], headers={**JSON, "Content-Encoding": "gzip"}))
        await away(tmp_path, server)


@pytest.mark.parametrize(
    "body",
    [b"", b"<html>", b"[" * 100_000, b'{"jsonrpc":"2.0","id":1,"result":{"tools":7}}', b'"' + b"x" * 5_000_000 + b'"'],
    ids=["nothing", "HTML", "deep", "another type", "huge"],
)
async def test_what_is_no_mcp_is_a_server_that_is_away(tmp_path: Path, body: bytes) -> None:
    async with Provider() as server:
        server.will(Reply([body], headers=JSON))
        await away(tmp_path, server)
