"""One call of a tool: its arguments are checked, its function is called, and whatever happens is a result."""

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from app.errors import GuardUnavailable
from app.redaction.redactor import Redactor
from app.tools.context import ToolContext
from app.tools.result import (
    MAX_PROBLEMS,
    ToolResult,
    invalid_arguments,
    raised,
    refused,
    refused_argument,
    returned,
    unknown_arguments,
)
from app.tools.rules.rule import ArgumentRefused
from app.tools.tool import Tool


async def run_tool(
    tool: Tool,
    arguments: Mapping[str, Any],
    context: ToolContext,
    *,
    here: bool = False,
    redactor: Redactor | None = None,
) -> ToolResult:
    """Never raises because of the tool; what remains is the caller's cancellation. `here`: in this process, whatever
    the tool's isolation. `redactor`: takes secrets out of the result."""
    if unknown := unknown_names(tool, arguments):
        return unknown_arguments(tool, unknown)
    try:
        try:
            running = (tool.bind_here if here else tool.bind)(arguments, context)
        except ValidationError as error:
            return invalid_arguments(tool, error)
        except ArgumentRefused as error:
            return refused_argument(tool, error)
        return returned(tool, await running, redactor)
    except GuardUnavailable as error:
        return refused(error)
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return raised(tool, error, redactor)
    except (Exception, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001 - a tool's failure is a result
        return raised(tool, error, redactor)


def unknown_names(tool: Tool, arguments: Mapping[str, Any]) -> list[str]:
    """The names of unknown arguments, where pydantic must not see them: it would make an error of each of very many,
    and take one for the context."""
    known = tool.parameters.get("properties", {})
    if len(arguments) <= len(known) + MAX_PROBLEMS and arguments.keys().isdisjoint(tool.contexts):
        return []
    return [name for name in arguments if name not in known]
