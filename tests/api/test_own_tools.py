"""Tools of a user's own package, found by its entry point, and what they may do to the service."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.safety.fence import unfenced
from tests.api.events import parse_all
from tests.packages import write_package
from tests.service import Service
from tests.upstream import MODEL, Upstream, asks, says_whole

SOURCE = '''
import asyncio
from typing import Annotated

from pydantic import Field

from app.tools.tool import ToolError, tool

both = asyncio.Barrier(2)


@tool
async def greet(name: Annotated[str, Field(description="Whom to greet")]) -> str:
    """Greets."""
    return f"Hello, {name}!"


@tool(timeout_seconds=0.3, risk="medium")
async def hang() -> str:
    """Never comes back."""
    await asyncio.sleep(3600)
    return ""


@tool(timeout_seconds=0.3)
async def stubborn() -> str:
    """Takes its cancellation for an answer."""
    for _ in range(10):
        try:
            await asyncio.sleep(0.3)
        except asyncio.CancelledError:
            pass
    return "at last"


@tool
async def crash() -> str:
    """Has a defect."""
    raise RuntimeError("inner workings")


@tool
async def leave() -> str:
    """Wants the process to end."""
    raise SystemExit(3)


@tool
async def refuse() -> str:
    """Says what is wrong with the call."""
    raise ToolError("Not on Sundays.")


@tool
async def flood() -> str:
    """Returns a megabyte."""
    return "x" * 1_000_000


@tool
async def odd() -> dict[str, object]:
    """Returns what has no JSON form."""
    return {"a": float("nan"), "b": "\\ud800\\0", "c": b"\\xff", "d": object}


@tool
async def meet() -> str:
    """Waits until it runs twice at the same time."""
    await asyncio.wait_for(both.wait(), 10)
    return "met"
'''


@pytest.fixture(scope="module")
def tooled(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Service]:
    folder: Path = tmp_path_factory.mktemp("tooled")
    service = Service(
        folder,
        models=MODEL,
        openai_base_url=f"{_upstream.url}/v1",
        unknown_price="allow",
        tools="calculator,greet,hang,stubborn,crash,leave,refuse,flood,odd,meet",
        pythonpath=write_package(folder / "packages", "mine", SOURCE),
    )
    service.may_log_errors = True  # of a tool that does not obey
    yield service
    service.end()


def test_they_are_listed_and_called_like_any_other(tooled: Service, upstream: Upstream) -> None:
    tools = {tool["name"]: tool for tool in tooled.ask("GET", "/api/tools").json()}
    assert tools.keys() >= {"calculator", "greet", "hang"}
    assert "clock" not in tools  # which is not listed
    assert tools["greet"]["parameters"]["properties"]["name"]["description"] == "Whom to greet"
    assert tools["hang"]["risk"] == "medium"
    answer = tooled.ask("POST", "/api/tools/greet", {"name": "Ada"}).json()
    assert answer == {"success": True, "result": "Hello, Ada!", "error": None}
    upstream.will(asks(("greet", {"name": "Bob"})), says_whole("done"))
    tooled.chat("go")
    assert unfenced(upstream.calls[-1].body["messages"][-1]["content"]) == "Hello, Bob!"


@pytest.mark.parametrize("name", ["hang", "stubborn"])
def test_one_that_hangs_is_stopped(tooled: Service, upstream: Upstream, name: str) -> None:
    started = time.monotonic()
    answer = tooled.ask("POST", f"/api/tools/{name}", {}).json()
    assert answer["success"] is False
    assert "0.3 seconds" in answer["error"]
    upstream.will(asks((name, {})), says_whole("sorry"))
    body = tooled.ask("POST", "/agent/run", {"query": "go"}).json()
    assert (body["answer"], body["tool_calls"][0]["status"]) == ("sorry", "timeout")
    assert time.monotonic() - started < 15


@pytest.mark.parametrize(("name", "error"), [("crash", "RuntimeError"), ("leave", "SystemExit"), ("refuse", "Not on")])
def test_one_that_raises_tells_the_model(tooled: Service, upstream: Upstream, name: str, error: str) -> None:
    answer = tooled.ask("POST", f"/api/tools/{name}", {}).json()
    assert (answer["success"], answer["result"]) == (False, None)
    assert error in answer["error"]
    assert "Traceback" not in answer["error"]
    upstream.will(asks((name, {})), says_whole("sorry"))
    body = tooled.ask("POST", "/agent/run", {"query": "go"}).json()
    assert (body["answer"], body["tool_calls"][0]["status"]) == ("sorry", "error")
    assert error in upstream.calls[-1].body["messages"][-1]["content"]
    assert tooled.ask("GET", "/live").status_code == 200


def test_of_a_megabyte_the_beginning_is_kept(tooled: Service, upstream: Upstream) -> None:
    answer = tooled.ask("POST", "/api/tools/flood", {}).json()
    assert answer["success"] is True
    assert len(answer["result"]) < 10_100
    upstream.will(asks(("flood", {})), says_whole("much"))
    assert tooled.chat("go").json()["answer"] == "much"
    content = upstream.calls[-1].body["messages"][-1]["content"]
    assert len(unfenced(content)) < 10_100
    assert "1000000" in content


def test_what_has_no_json_form_is_an_error_or_made_fit(tooled: Service, upstream: Upstream) -> None:
    response = tooled.ask("POST", "/api/tools/odd", {})
    assert response.status_code == 200
    json.dumps(response.json(), ensure_ascii=False, allow_nan=False).encode()
    upstream.will(asks(("odd", {})), says_whole("odd"))
    assert tooled.chat("go").json()["answer"] == "odd"


def test_tools_that_are_asked_for_at_once_run_at_once(tooled: Service, upstream: Upstream) -> None:
    upstream.will(asks(("meet", {}), ("meet", {})), says_whole("they met"))
    body = tooled.ask("POST", "/agent/run", {"query": "go"}).json()
    assert [call["status"] for call in body["tool_calls"]] == ["ok", "ok"]
    assert body["answer"] == "they met"


def test_results_go_back_in_the_order_of_the_calls(tooled: Service, upstream: Upstream) -> None:
    upstream.will(asks(("hang", {}), ("crash", {}), ("greet", {"name": "Ada"}), stream=True), says_whole("done"))
    response = tooled.ask("POST", "/chat/stream", {"message": "go"})
    names = [event.name for event in parse_all(response.text)]
    assert names.count("tool.started") == names.count("tool.finished") == 3
    results = upstream.calls[-1].body["messages"][-3:]
    assert [result["tool_call_id"] for result in results] == ["call_0", "call_1", "call_2"]
    assert "0.3 seconds" in results[0]["content"]
    assert unfenced(results[2]["content"]) == "Hello, Ada!"
