"""Tool calls: whatever the tool does, the model gets a result, in time, and the run goes on."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, nullcontext, suppress
from contextvars import ContextVar
from typing import Any, Never

import pytest
from prometheus_client import REGISTRY

from app.errors import RateLimited
from app.messages import ToolCall
from app.telemetry.context import RequestContext, current
from app.telemetry.propagation import Propagation
from app.telemetry.traces import Tracing
from app.tools import ToolContext, ToolError, tool
from app.tools import call as tool_calls
from app.tools.call import Slot, call_tool
from app.tools.registry import Registry
from app.tools.result import ToolResult
from tests.doubles import ADA
from tests.logged import capture_logs

who: ContextVar[str] = ContextVar("who")
seen: list[str] = []


class Unprintable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


@tool
async def add(a: int, b: int = 1) -> int:
    """Add."""
    return a + b


@tool
async def say(text: str) -> str:
    """Say."""
    return text


@tool(timeout_seconds=0.05)
async def hang() -> None:
    """Hang."""
    try:
        await asyncio.sleep(60)
    finally:
        seen.append("cleaned up")


@tool(timeout_seconds=0.05)
async def cling() -> str:
    """Ignore being cancelled for a good while."""
    end = time.monotonic() + 1.5
    while time.monotonic() < end:
        try:
            await asyncio.sleep(end - time.monotonic())
        except asyncio.CancelledError:
            seen.append("ignored")
    seen.append("ended")
    raise ValueError("too late for anyone to hear")


@tool(timeout_seconds=0.05)
async def answer_when_cancelled() -> str:
    """Answer only when cancelled."""
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(60)
    return "late"


@tool
async def fail(kind: str) -> Never:
    """Raise."""
    errors: dict[str, BaseException] = {
        "value": ValueError("the reason"),
        "silent": KeyError(),
        "unprintable": Unprintable(),
        "exit": SystemExit(3),
        "cancelled": asyncio.CancelledError(),
        "timeout": TimeoutError("their server"),
        "group": BaseExceptionGroup("several", [SystemExit(1)]),
        "long": ValueError("x" * 1_000_000),
        "surrogate": ValueError("\ud800\0"),
        "call": ToolError("You asked for the wrong thing."),
        "wordless": ToolError(),
    }
    raise errors[kind]


@tool
async def recurse() -> Never:
    """Recurse."""

    def deeper() -> Never:
        deeper()

    deeper()


@tool(max_output_chars=100)
async def flood(structured: bool) -> Any:
    """Return a megabyte."""
    return list(range(200_000)) if structured else "x" * 1_000_000


@tool
async def odd() -> Any:
    """Return what JSON has no room for."""
    return {"nan": float("nan"), "nul": "\0", "lone": "\ud800", "bytes": b"\xff"}


@tool
async def opaque() -> object:
    """Return what has no JSON form."""
    return object()


@tool
async def name_caller() -> str:
    """Say who asks."""
    return who.get()


REGISTRY_OF_TOOLS = Registry(
    [add, say, hang, cling, answer_when_cancelled, fail, recurse, flood, odd, opaque, name_caller]
)


@pytest.fixture(autouse=True)
def logged() -> Iterator[list[dict[str, Any]]]:
    seen.clear()
    with capture_logs() as lines:
        yield lines


async def execute(tools: Registry, call: ToolCall, slot: Slot = nullcontext) -> ToolResult:
    return await call_tool(tools, ToolContext(ADA, "a-run"), call, slot=slot, tracing=Tracing(None))


async def run(name: str, /, **arguments: Any) -> ToolResult:
    return await execute(REGISTRY_OF_TOOLS, ToolCall("1", name, arguments))


def calls(tool: str, status: str) -> float:
    return REGISTRY.get_sample_value("agent_tool_calls_total", {"tool": tool, "status": status}) or 0


async def test_a_result_is_text_for_the_model_and_a_value_for_the_caller() -> None:
    result = await run("add", a=1)
    assert (result.content, result.result, result.status, result.error) == ("2", 2, "ok", None)
    assert 0 < result.latency_ms < 1000


async def test_arguments_that_can_be_understood_are() -> None:
    assert (await run("add", a="40", b=2.0)).result == 42


async def test_invalid_arguments_are_named_to_the_model() -> None:
    result = await run("add", b="many", c=3)
    assert (result.status, result.result) == ("error", None)
    assert result.error == result.content
    for field in ("- a: Missing", "- b: Input should be a valid integer", "- c: Unexpected"):
        assert field in result.content


async def test_endless_invalid_arguments_give_a_short_answer() -> None:
    result = await run("add", **{f"{i}\0\ud800": i for i in range(10_000)})
    assert result.status == "error"
    assert len(result.content) < 3_000
    json.dumps(result.content).encode()


async def test_an_unknown_tool_is_answered_with_the_known_ones() -> None:
    result = await execute(Registry([say, add]), ToolCall("1", "nope" * 10_000, {}))
    assert result.status == "error"
    assert result.content.endswith("Tools there are: add, say.")
    assert len(result.content) < 200


async def test_a_tool_left_out_of_the_subset_cannot_be_called() -> None:
    result = await execute(REGISTRY_OF_TOOLS.subset(["say"]), ToolCall("1", "add", {"a": 1}))
    assert (result.status, "no tool called 'add'" in result.content) == ("error", True)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("value", "ValueError: the reason"),
        ("silent", "KeyError"),
        ("unprintable", "Unprintable"),
        ("exit", "SystemExit: 3"),
        ("cancelled", "CancelledError"),
        ("timeout", "TimeoutError: their server"),
        ("group", "BaseExceptionGroup: several (1 sub-exception)"),
        ("surrogate", "ValueError: \ufffd\ufffd"),
        ("call", "You asked for the wrong thing."),
        ("wordless", "The tool failed."),
    ],
)
async def test_what_a_tool_raises_is_a_result_without_a_stack(kind: str, content: str) -> None:
    result = await run("fail", kind=kind)
    assert (result.status, result.content, result.error) == ("error", content, content)


async def test_a_long_error_is_cut() -> None:
    assert len((await run("fail", kind="long")).content) < 2_100


async def test_endless_recursion_is_a_result() -> None:
    assert (await run("recurse")).content.startswith("RecursionError")


async def test_what_has_no_json_form_is_an_error_that_says_so() -> None:
    result = await run("opaque")
    assert result.status == "error"
    assert "object" in result.content


@pytest.mark.parametrize("structured", [True, False])
async def test_a_megabyte_is_cut_with_a_note(structured: bool) -> None:
    result = await run("flood", structured=structured)
    assert result.status == "ok"
    assert len(result.content) < 200
    assert "[cut: the first 100 of 1" in result.content
    assert result.result == result.content


async def test_odd_values_are_sent_as_valid_json() -> None:
    result = await run("odd")
    assert json.loads(result.content) == result.result
    assert result.result == {"nan": "nan", "nul": "\ufffd", "lone": "\ufffd", "bytes": "\ufffd"}
    json.dumps(result.result, allow_nan=False).encode()


async def test_a_tool_that_hangs_is_stopped_and_cleans_up() -> None:
    result = await run("hang")
    assert (result.status, result.result) == ("timeout", None)
    assert result.content == "The tool gave no result within 0.05 seconds and was stopped."
    assert 50 <= result.latency_ms < 500
    assert seen == ["cleaned up"]


async def test_a_tool_that_answers_when_cancelled_has_still_timed_out() -> None:
    assert (await run("answer_when_cancelled")).status == "timeout"


async def test_a_tool_that_ignores_its_cancellation_is_left_behind(
    logged: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_calls, "GRACE_SECONDS", 0.1)
    result = await run("cling")
    assert result.status == "timeout"
    assert result.latency_ms < 1200
    assert (logged[0]["event"], logged[0]["tool"]) == ("tool_abandoned", "cling")
    await asyncio.wait(tool_calls.abandoned)
    assert seen == ["ignored", "ended"]


async def test_cancellation_passes_through_and_stops_the_tool() -> None:
    running = asyncio.create_task(execute(Registry([tool(hang.function)]), ToolCall("1", "hang", {})))
    await asyncio.sleep(0.02)
    running.cancel()
    start = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - start < 0.45
    assert seen == ["cleaned up"]


async def test_cancellation_before_the_tool_began_passes_through() -> None:
    running = asyncio.create_task(run("add", a=1))
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_cancellation_is_not_held_up_by_a_tool_that_ignores_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tool_calls, "GRACE_SECONDS", 0.1)
    running = asyncio.create_task(execute(Registry([tool(cling.function)]), ToolCall("1", "cling", {})))
    await asyncio.sleep(0.02)
    running.cancel()
    start = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - start < 1.2
    await asyncio.wait(tool_calls.abandoned)


async def test_several_at_once_take_as_long_as_the_longest() -> None:
    start = time.monotonic()
    results = await asyncio.gather(*(run("hang") for _ in range(50)), run("add", a=1), run("fail", kind="value"))
    assert time.monotonic() - start < 1
    assert [r.status for r in results] == ["timeout"] * 50 + ["ok", "error"]


async def test_a_tool_sees_the_context_of_its_caller() -> None:
    who.set("caller")
    assert (await run("name_caller")).content == "caller"


async def test_a_call_is_logged_without_its_content(logged: list[dict[str, Any]]) -> None:
    await run("say", text="a secret")
    (line,) = logged
    assert line.pop("latency_ms") > 0
    assert line == {"event": "tool_call", "log_level": "info", "tool": "say", "success": True, "error": None}


@pytest.mark.parametrize(
    ("name", "arguments", "error", "stack"),
    [
        ("fail", {"kind": "value"}, "ValueError", True),
        ("fail", {"kind": "call"}, "ToolError", False),
        ("add", {"a": "x"}, "invalid_arguments", False),
        ("hang", {}, "timeout", False),
        ("nope\ud800", {}, "unknown_tool", False),
    ],
)
async def test_a_failure_is_logged_with_its_kind_and_a_defect_with_its_stack(
    logged: list[dict[str, Any]], name: str, arguments: dict[str, Any], error: str, stack: bool
) -> None:
    await run(name, **arguments)
    (line,) = logged
    assert (line["log_level"], line["success"], line["error"]) == ("warning", False, error)
    assert ("exception" in line) is stack
    line["tool"].encode()


@pytest.mark.parametrize(
    ("name", "arguments", "label", "status"),
    [
        ("add", {"a": 1}, "add", "ok"),
        ("add", {}, "add", "error"),
        ("hang", {}, "hang", "timeout"),
        ("made up", {}, "unknown", "error"),
    ],
)
async def test_calls_are_counted_under_registered_names_only(
    name: str, arguments: dict[str, Any], label: str, status: str
) -> None:
    before = calls(label, status)
    await run(name, **arguments)
    assert calls(label, status) == before + 1
    assert calls("made up", "error") == 0


async def test_the_time_of_registered_tools_is_measured() -> None:
    await run("hang")
    await run("made up")
    assert (REGISTRY.get_sample_value("agent_tool_latency_seconds_sum", {"tool": "hang"}) or 0) >= 0.05
    assert REGISTRY.get_sample_value("agent_tool_latency_seconds_count", {"tool": "unknown"}) is None


async def test_a_call_costs_little() -> None:
    """The goal is 50 µs with logging; this bound only catches a mistake on a busy machine."""
    call = ToolCall("1", "add", {"a": 1})
    best = float("inf")
    for _ in range(20):
        start = time.perf_counter()
        for _ in range(50):
            await execute(REGISTRY_OF_TOOLS, call)
        best = min(best, (time.perf_counter() - start) / 50)
    assert best < 300e-6


@tool
async def look(article: str, ctx: ToolContext) -> str:
    """Look an article up."""
    ctx.sources.append(f"shelf/{article}")
    return f"{ctx.caller.user} {ctx.run_id} {ctx.call_id} {ctx.seconds_left:.0f}"


LOOK = Registry([look])


async def test_a_tool_is_given_who_calls_and_says_what_it_used() -> None:
    result = await execute(LOOK, ToolCall("7", "look", {"article": "bolt"}))
    assert (result.content, result.sources) == ("ada a-run 7 30", ("shelf/bolt",))


async def test_the_sources_of_calls_at_once_are_apart() -> None:
    calls = [execute(LOOK, ToolCall(name, "look", {"article": name})) for name in ("bolt", "nut")]
    assert [result.sources for result in await asyncio.gather(*calls)] == [("shelf/bolt",), ("shelf/nut",)]


async def test_a_deadline_of_the_run_that_comes_first_is_the_tools() -> None:
    context = ToolContext(ADA, "a-run", deadline=asyncio.get_running_loop().time() + 5)
    call = ToolCall("7", "look", {"article": "bolt"})
    result = await call_tool(LOOK, context, call, slot=nullcontext, tracing=Tracing(None))
    assert result.content == "ada a-run 7 5"
    assert context.sources == []


@pytest.mark.parametrize("made_up", [None, {}, {"caller": {"user": "root"}}, "root"])
async def test_a_context_cannot_be_made_up(made_up: Any) -> None:
    result = await execute(LOOK, ToolCall("7", "look", {"article": "bolt", "ctx": made_up}))
    assert (result.status, result.content) == ("error", "Invalid arguments for look:\n- ctx: unknown argument")
    assert result.sources == ()


async def test_a_slot_is_held_while_a_known_tool_runs() -> None:
    held: list[str] = []

    @asynccontextmanager
    async def slot(name: str) -> AsyncIterator[None]:
        held.append(name)
        yield
        held.append("free")

    for name in ("add", "made up"):
        await execute(REGISTRY_OF_TOOLS, ToolCall("1", name, {"a": 1}), slot)
    assert held == ["add", "free"]


async def test_a_slot_that_is_refused_is_an_error_of_the_caller_and_no_call() -> None:
    @asynccontextmanager
    async def slot(_: str) -> AsyncIterator[None]:
        raise RateLimited("user", 3, policies="", shown=False)
        yield

    before = calls("say", "ok"), calls("say", "error")
    with pytest.raises(RateLimited):
        await execute(REGISTRY_OF_TOOLS, ToolCall("1", "say", {"text": "hi"}), slot)
    assert (calls("say", "ok"), calls("say", "error")) == before


async def test_a_tool_can_tell_the_servers_it_asks_of_the_request_if_they_may_know() -> None:
    @tool
    async def look(context: ToolContext) -> list[str]:
        """Look."""
        return [*context.trace_headers("http://files.internal/a"), *context.trace_headers("http://elsewhere.example")]

    tracing = Tracing(None, Propagation([".internal"]))
    token = current.set(RequestContext("request-1", "0af7651916cd43dd8448eb211c80319c"))
    result = await call_tool(
        Registry([look]), ToolContext(ADA, "a-run"), ToolCall("1", "look", {}), slot=nullcontext, tracing=tracing
    )
    current.reset(token)
    assert result.result == ["traceparent", "X-Request-Id"]
