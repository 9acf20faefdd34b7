"""A call in a process of its own: made for it with nothing of the service, ended with all that it started."""

import asyncio
import json
import re
import signal
from collections.abc import Mapping
from typing import Any

import msgspec

from app.tools.context import ToolContext
from app.tools.isolation.processes import CallProcess, template
from app.tools.isolation.wire import LENGTH_BYTES, CallSent, ResultSent
from app.tools.output import clean
from app.tools.result import MAX_MESSAGE_CHARS, ToolResult
from app.tools.tool import Tool

_MOST_SECONDS = 86_400.0
_MOST_BYTES = 16 * 1024 * 1024
_MOST_SOURCES = 100
_MOST_SOURCE_CHARS = 2_048
_IS_WORD = re.compile(r"[A-Z_][A-Za-z0-9_]{0,63}").fullmatch
"""The name of an exception. The service's own words, such as for a call that was not made, begin in lower case."""


async def call_in_process(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> Any:
    """What the tool returned, or the ToolResult of a failure, of the process as well.

    Cancelled, it ends the process and all that it has started.
    """
    process = await template.process()
    try:
        await process.begun()
        sent = await _exchange(process, _start(tool), _call(tool, arguments, context))
    except (asyncio.IncompleteReadError, ConnectionError):
        return _broken(tool, await process.end())
    except (ValueError, msgspec.DecodeError):
        return _failed("The tool's process gave a result that is too large, or none that can be read.", "bad_result")
    finally:
        await process.end()
    return _taken(tool, sent, context)


def _taken(tool: Tool, sent: ResultSent, context: ToolContext) -> Any:
    """What the process says of its call, within bounds: it may be somebody else's by now."""
    context.sources.extend([source[:_MOST_SOURCE_CHARS] for source in sent.sources[:_MOST_SOURCES]])
    if sent.handed_over is not None:
        context.hand_over(*[clean(words[:MAX_MESSAGE_CHARS]) for words in sent.handed_over])
    if sent.status == "ok":
        return sent.result
    fault = sent.fault if sent.fault is not None and _IS_WORD(sent.fault) else "ToolError"
    return ToolResult("error", sent.content, fault=fault, untrusted=tool.untrusted)


async def _exchange(process: CallProcess, start: bytes, call: bytes) -> ResultSent:
    for message in (start, call):
        process.writer.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    await process.writer.drain()
    length = int.from_bytes(await process.reader.readexactly(LENGTH_BYTES), "big")
    if length > _MOST_BYTES:
        raise ValueError("too large")
    return msgspec.json.decode(await process.reader.readexactly(length), type=ResultSent)


def _start(tool: Tool) -> bytes:
    limits = {"memory_bytes": tool.process.memory_bytes, "cpu_seconds": tool.process.cpu_seconds}
    return json.dumps({"module": tool.function.__module__, **limits}).encode()


def _call(tool: Tool, arguments: Mapping[str, Any], context: ToolContext) -> bytes:
    caller = context.caller
    return msgspec.json.encode(
        CallSent(
            tool.name,
            dict(arguments),
            caller.user,
            caller.team,
            caller.tier,
            sorted(caller.scopes),
            caller.address,
            caller.authenticated,
            context.run_id,
            context.call_id,
            context.iteration,
            min(context.seconds_left, _MOST_SECONDS),
        )
    )


def _broken(tool: Tool, code: int) -> ToolResult:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    limits = tool.process
    may = f"It may use {limits.memory_bytes // 2**20} MiB of memory and {limits.cpu_seconds} s of CPU time."
    return _failed(f"The tool's process {how} before there was a result. {may}", "process_ended")


def _failed(message: str, fault: str) -> ToolResult:
    return ToolResult("error", message, fault=fault)
