"""The call itself, within its process."""

import asyncio
from dataclasses import replace
from types import ModuleType

import msgspec

from app.tools.context import ToolContext
from app.tools.isolation.wire import CallSent, ResultSent
from app.tools.running import run_tool
from app.tools.tool import Tool

MOST_CHARS = 1_048_576
"""Of an output. What the tool itself may say is cut by the service, once it has looked for secrets: half of one is none
that it would find."""


def answer(module: ModuleType, message: bytes) -> bytes:
    """The ResultSent of a CallSent. Raises LookupError for a tool that is not in the module."""
    call = msgspec.json.decode(message, type=CallSent)
    tool = next(tool for tool in vars(module).values() if isinstance(tool, Tool) and tool.name == call.tool)
    whole = replace(tool, max_output_chars=max(tool.max_output_chars, MOST_CHARS))
    return msgspec.json.encode(asyncio.run(_call(whole, call)))


async def _call(tool: Tool, call: CallSent) -> ResultSent:
    context = ToolContext(
        call.caller(),
        call.run_id,
        call.call_id,
        asyncio.get_running_loop().time() + call.seconds,
        iteration=call.iteration,
        arguments=call.arguments,
    )
    result = await run_tool(tool, call.arguments, context, here=True)
    sources = [str(source) for source in context.sources]
    handed_over = context.handed_over[0] if context.handed_over else None
    return ResultSent(result.status, result.content, result.result, result.fault, sources, handed_over)
