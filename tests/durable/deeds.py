"""Tools with effects on the world, a model that calls them, and the world's own account of what was done."""

import time
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from app.messages import ToolCall
from tests.packages import write_package
from tests.resilience.acts import TEXTS, Act, Call, answer

MODEL = "deeds"
TOOLS = ("charge", "send", "look")
_SOURCE = '''
"""Each call says on a line of its own that it was begun, and what it did to the world."""

import asyncio
import os

from app.tools import ToolContext, tool

LEDGER, SECONDS = {ledger!r}, {seconds!r}


def note(*words: object) -> None:
    with open(LEDGER, "ab", buffering=0) as file:
        file.write((" ".join(map(str, words)) + "\\\\n").encode())  # one write: lines of several processes do not mix


async def work(name: str, context: ToolContext) -> str:
    await asyncio.sleep(SECONDS / 2)
    note(name, context.run_id, context.idempotency_key or "-", os.getpid())
    await asyncio.sleep(SECONDS / 2)
    return name


@tool(effect="idempotent", trusted=True)
async def charge(context: ToolContext) -> str:
    """Charge a card."""
    return await work("charge", context)


@tool(effect="once", trusted=True)
async def send(context: ToolContext) -> str:
    """Send a letter."""
    return await work("send", context)


@tool(effect="read", trusted=True)
async def look(context: ToolContext) -> str:
    """Look something up."""
    return await work("look", context)


@tool(effect="read", trusted=True)
async def rest(seconds: float, context: ToolContext) -> str:
    """Take so long."""
    note("rest", context.run_id, "-", os.getpid())
    await asyncio.sleep(seconds)
    return "rested"
'''.replace("\\\\n", "\\n")


def install_tools(folder: Path, ledger: Path, seconds: float) -> Path:
    """Returns the folder for PYTHONPATH."""
    ledger.touch()
    return write_package(folder, "deeds", _SOURCE.format(ledger=str(ledger), seconds=seconds))


def act(_: int, call: Call) -> Act:
    """What the question asks for: `steps` calls the tools one after the other, `together` all at once, `rest 3` a tool
    that takes 3 seconds; then a text."""
    messages = call.body["messages"]
    kind, argument = next(message["content"] for message in messages if message["role"] == "user").split()
    done = sum(message["role"] == "tool" for message in messages)
    if kind == "rest":
        calls = [ToolCall("call_rest", "rest", {"seconds": float(argument)})] if not done else []
    elif kind == "steps":
        calls = [ToolCall(f"call_{done}", TOOLS[done], {})] if done < len(TOOLS) else []
    else:
        calls = [ToolCall(f"call_{name}", name, {}) for name in TOOLS] if not done else []
    return replace(answer(call, () if calls else TEXTS * 3, calls), pause=0.01)


@dataclass(frozen=True)
class Deed:
    tool: str
    run_id: str
    key: str
    process: int


class Ledger:
    """What the tools did, by the lines that they wrote."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def deeds(self) -> Sequence[Deed]:
        rows = (line.split() for line in self._file.read_text().splitlines())
        return [Deed(tool, run_id, key, int(process)) for tool, run_id, key, process in rows]

    def wait_for(self, tool: str, run_id: str, seconds: float = 30) -> Deed:
        end = time.monotonic() + seconds
        while not (found := [deed for deed in self.deeds() if (deed.tool, deed.run_id) == (tool, run_id)]):
            assert time.monotonic() < end, f"{tool} of {run_id} not begun within {seconds} s"
            time.sleep(0.02)
        return found[-1]

    def faults(self, records: Mapping[str, Mapping[str, Any]]) -> Sequence[str]:
        """Side effects that did not happen once, or are said to have been otherwise than they were."""
        keys: dict[str, set[str]] = defaultdict(set)
        sent: Counter[str] = Counter()
        for deed in self.deeds():
            if deed.tool == "charge":
                keys[deed.run_id].add(deed.key)
            sent[deed.run_id] += deed.tool == "send"
        found = []
        for run_id, statuses in ((run_id, told_of(record)) for run_id, record in records.items()):
            if len(keys[run_id]) != 1 or "-" in keys[run_id]:
                found.append(f"{run_id}: charged with the keys {sorted(keys[run_id])}")
            told, times = statuses.get("send", "nothing"), sent[run_id]
            if (told, times) not in (("ok", 1), ("unknown", 0), ("unknown", 1)):
                found.append(f"{run_id}: sent {times} times, told {told}")
        return found


def told_of(record: Mapping[str, Any]) -> Mapping[str, str]:
    """The status of each tool in a run's answer."""
    calls = (record.get("answer") or {}).get("tool_calls", ())
    return {call["name"]: call["status"] for call in calls}
