"""Puts tool calls on record: before the call where the tool does more than read, else with how it ended."""

from collections.abc import Awaitable, Callable
from typing import Any

from msgspec.structs import replace

from app.access.on_record import entry_of
from app.audit.audit import NO_AUDIT, Audit
from app.audit.canonical import fingerprint
from app.audit.entry import Entry
from app.errors import StateUnavailable
from app.messages import ToolCall
from app.tools.context import ToolContext
from app.tools.result import ToolResult
from app.tools.tool import Tool

NOT_MADE = frozenset(
    {
        "unknown_tool",
        "malformed_arguments",
        "unknown_arguments",
        "invalid_arguments",
        "argument_rule",
        "secret_in_arguments",
    }
)
"""Faults of calls that did not come to the tool's function."""


async def on_record(
    audit: Audit, tool: Tool, context: ToolContext, call: ToolCall, make: Callable[[], Awaitable[ToolResult]]
) -> ToolResult:
    """What came of the call that `make` makes. Raises StateUnavailable where it cannot be put on record beforehand: it
    is not made then."""
    if audit is NO_AUDIT:
        return await make()
    entry = entry_of_call(context, call, tool.name)
    effects = tool.effect != "read"
    if effects:
        await _write(audit, entry)
    word = "cancelled"
    try:
        result = await make()
        word = _word(result)
    finally:
        decision: Any = "refused" if word in NOT_MADE else "ended" if effects else "allowed"
        audit.note(replace(entry, decision=decision, why=word))
    return result


def entry_of_call(context: ToolContext, call: ToolCall, tool: str) -> Entry:
    arguments = "" if call.malformed else fingerprint(call.arguments)
    return entry_of(context.caller, "tool", "allowed", on=tool, run_id=context.run_id, arguments=arguments)


def call_not_made(context: ToolContext, call: ToolCall, result: ToolResult) -> Entry:
    """Of a call that policy or a person does not allow, or that another process began, and did not survive."""
    lost = result.status == "unknown"
    return replace(
        entry_of_call(context, call, call.name),
        decision="ended" if lost else "refused",
        why=result.status if lost else result.fault or result.status,
    )


def call_unknown(context: ToolContext, call: ToolCall) -> Entry:
    """Of a tool that there is not: its name is somebody's own words."""
    return replace(entry_of_call(context, call, ""), decision="refused", why="unknown_tool")


async def _write(audit: Audit, entry: Entry) -> None:
    try:
        await audit.write(entry)
    except StateUnavailable:
        audit.note(replace(entry, decision="refused", why="audit-unavailable"))
        raise


def _word(result: ToolResult) -> str:
    """How the call ended, in one word: exceptions of tools have names of their own."""
    return result.fault if result.fault in NOT_MADE else result.status
