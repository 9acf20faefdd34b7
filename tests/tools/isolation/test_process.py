"""Tools in processes of their own: nothing of the service is there, and nothing of them stays."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.access.principal import Principal
from app.messages import ToolCall
from app.telemetry.traces import Tracing
from app.tools import Tool, ToolContext, tool
from app.tools.call import call_tool
from app.tools.isolation.limits import ProcessLimits
from app.tools.isolation.processes import template
from app.tools.registry import Registry
from app.tools.result import ToolResult
from tests.doubles import ADA
from tests.service import REPOSITORY
from tests.tools.isolation import misbehaving as tools

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
CALLER = Principal("ada", "engines", "gold", frozenset({"tools:*"}), authenticated=True)


async def run(made: Tool, context: ToolContext | None = None, /, **arguments: Any) -> ToolResult:
    context = context or ToolContext(ADA, "a-run")
    call = ToolCall("c1", made.name, arguments)
    return await call_tool(Registry([made]), context, call, slot=lambda _: nullcontext(), tracing=Tracing(None))


def limited(made: Tool, **limits: int) -> Tool:
    return made.within(replace(ProcessLimits(), **limits))


async def test_a_call_is_answered_as_in_the_service() -> None:
    result = await run(tools.add, a=41)
    assert (result.status, result.content, result.result) == ("ok", "42", 42)


async def test_arguments_and_rules_are_checked_before_a_process_is_started() -> None:
    started = time.perf_counter()
    assert (await run(tools.add, a="x")).fault == "invalid_arguments"
    assert (await run(tools.read, path="/etc/passwd")).fault == "argument_rule"
    assert time.perf_counter() - started < 0.2
    assert (await run(tools.read, path="/srv/x")).content == "/srv/x"


def target(fd: int) -> str:
    return str(Path(f"/proc/self/fd/{fd}").readlink())


async def test_nothing_of_the_service_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "s3cret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    template.discard()  # the next one begins with this environment
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    context = ToolContext(CALLER, "a-run", iteration=2, deadline=asyncio.get_running_loop().time() + 12)
    with (tmp_path / "held").open("w") as held:
        os.set_inheritable(held.fileno(), True)
        os.set_inheritable(server.sockets[0].fileno(), True)
        listening = target(server.sockets[0].fileno())
        found = (await run(limited(tools.look_around, memory_bytes=2**28), context)).result
    server.close()
    await server.wait_closed()
    assert not {str(tmp_path / "held"), listening} & set(found["open"])
    assert found["environment"].keys() <= {"PATH", "LANG", "TZ", "LC_CTYPE"}  # the last is Python's own
    assert found["environment"]["TZ"] == "Europe/Berlin"
    assert (found["folder"], found["own group"], found["seen"]) == ("/", True, ["been here"])
    assert found["service loaded"] == []
    assert (found["cores"], found["memory"]) == ([0, 0], 2**28)
    assert found["key"] == ToolContext(CALLER, "a-run", "c1", iteration=2).idempotency_key
    assert found["left"] in range(13)
    assert found["caller"] == ["ada", "engines", "gold", ["tools:*"]]
    assert found["credential"] == "Credential()"
    assert (await run(tools.look_around)).result["seen"] == ["been here"]  # not twice


async def test_sources_and_a_hand_over_come_back_and_output_is_no_result() -> None:
    result = await run(tools.cite)
    assert (result.content, result.sources) == ("cited", ("a/source",))
    assert result.handed_over == ("tired", "all of it")


@pytest.mark.parametrize(
    ("how", "content", "fault"),
    [
        ("exit", "The tool's process ended with exit code 7 before", "process_ended"),
        ("crash", "The tool's process was ended by SIGSEGV before", "process_ended"),
        ("memory", "MemoryError", "MemoryError"),
        ("refuse", "Not on Sundays.", "ToolError"),
        ("defect", "RuntimeError: inner workings", "RuntimeError"),
    ],
)
async def test_whatever_happens_there_is_a_result(how: str, content: str, fault: str) -> None:
    result = await run(tools.fail, how=how)
    assert result.status == "error"
    assert (result.content.startswith(content), result.fault) == (True, fault), result


async def test_of_a_long_result_the_beginning_comes_back() -> None:
    result = await run(tools.fail, how="much")
    assert (len(result.content) < 10_100, "of 1000000" in result.content) == (True, True)


async def test_cpu_time_is_bounded_by_the_setting() -> None:
    result = await run(limited(tools.burn, cpu_seconds=1))
    assert result.fault == "process_ended"
    assert "may use 512 MiB of memory and 1 s of CPU time" in result.content


async def test_files_are_bounded(tmp_path: Path) -> None:
    result = await run(tools.write_much, file=str(tmp_path / "much"))
    assert result.status == "error"
    assert size(tmp_path / "much") == 64 * 1024 * 1024


def size(file: Path) -> int:
    return file.stat().st_size


def gone(*pids: int) -> bool:
    return not any(Path(f"/proc/{pid}").exists() and "zombie" not in _state(pid) for pid in pids)


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return "zombie"


async def until(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not true():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


@pytest.mark.parametrize(("how", "status"), [("return", "ok"), ("die", "error")])
async def test_at_the_end_nothing_that_it_started_is_left(how: str, status: str, tmp_path: Path) -> None:
    file = tmp_path / "pids"
    result = await run(tools.stay, how=how, file=str(file))
    assert result.status == status
    pids = [int(pid) for pid in file.read_text().split()]
    await until(lambda: gone(*pids))


async def test_a_cancelled_call_ends_its_processes(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    running = asyncio.create_task(run(tools.stay, how="block", file=str(file)))
    await until(lambda: file.exists() and len(file.read_text().split()) == 2)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    pids = [int(pid) for pid in file.read_text().split()]
    await until(lambda: gone(*pids))


async def test_what_leaves_the_session_of_a_call_is_ended_with_it_and_other_calls_go_on(tmp_path: Path) -> None:
    file, go = tmp_path / "pid", tmp_path / "go"
    other = asyncio.create_task(run(tools.wait_for, file=str(go)))
    await until(go.with_suffix(".waiting").exists)
    assert (await run(tools.flee, file=str(file))).content == "fled"
    await until(lambda: gone(int(file.read_text())))
    go.touch()
    assert (await other).status == "ok"


async def test_calls_cannot_look_into_each_other() -> None:
    assert (await run(tools.hidden)).result is True


@pytest.mark.parametrize(("status", "fault"), [("error", "invalid_arguments"), ("unknown", "a\nlog line"), ("ok", "")])
async def test_what_a_process_says_of_its_call_is_taken_within_bounds(status: str, fault: str) -> None:
    """It cannot claim that the call was not made, or fill logs and records."""
    result = await run(tools.claim, status=status, fault=fault)
    assert (result.status, result.fault) == (("ok", None) if status == "ok" else ("error", "ToolError"))
    assert len(result.content) < 2_100
    assert [len(source) for source in result.sources] == [2_048] * 100
    assert result.handed_over is None or max(map(len, result.handed_over)) <= 2_000


@pytest.mark.parametrize("how", ["stop", "kill"])
async def test_a_tool_that_ends_what_its_process_is_a_copy_of_harms_no_later_call(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.tools.isolation.processes.BEGIN_SECONDS", 3.0)
    monkeypatch.setattr("app.tools.isolation.processes.END_SECONDS", 0.2)
    await run(tools.stop_parent, how=how)
    results = [await run(tools.add, a=41) for _ in range(3)]
    assert results[-1].content == "42"
    assert len([each for each in results if each.status == "error"]) <= 1


async def test_many_calls_at_once_have_their_own_processes_and_results() -> None:
    results = await asyncio.gather(*[run(tools.add, a=number) for number in range(30)])
    assert [each.result for each in results] == list(range(1, 31))
    await until(lambda: _copies() == [])


def _copies() -> list[int]:
    assert template._process
    pid = template._process.pid
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


SPY = """
import os
from app.tools.isolation.processes import hide

if os.getuid() == 0:  # whom nothing is hidden from
    os.setgid(65534)
    os.setuid(65534)
hide()
if os.fork() == 0:
    read = []
    for name in ("environ", "mem", "fd/0", "root/etc"):
        try:
            os.open(f"/proc/{os.getppid()}/{name}", os.O_RDONLY)
            read.append(name)
        except PermissionError:
            pass
    os._exit(len(read))
print(os.waitstatus_to_exitcode(os.wait()[1]), len(os.listdir("/proc/self/fd")) > 2)
"""


def test_another_process_of_the_same_user_cannot_look_into_the_service() -> None:
    done = subprocess.run([sys.executable, "-c", SPY], capture_output=True, text=True, check=False, cwd=REPOSITORY)
    assert done.stdout == "0 True\n", done.stderr


def test_a_function_that_another_process_cannot_find_is_a_type_error() -> None:
    async def inner() -> None:
        """Inner."""

    with pytest.raises(TypeError, match="takes a function of a module"):
        tool(isolation="process")(inner)
    with pytest.raises(TypeError, match="isolation is one of"):
        tool(isolation="container")(inner)  # type: ignore[call-overload]
