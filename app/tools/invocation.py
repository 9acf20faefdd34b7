"""One call of a tool's function, and what came of it in words a model can read."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from app.events import ToolStatus
from app.tools.output import cut, render
from app.tools.tool import Tool, ToolError

MAX_MESSAGE_CHARS = 2_000
"""The most of an error's message that goes back to the model."""


@dataclass(frozen=True, slots=True)
class Outcome:
    status: ToolStatus
    content: str
    result: Any = None
    fault: str | None = None
    """A word for the log: an exception's class, or what was wrong with the call."""
    cause: BaseException | None = None
    """Whose stack goes to the log."""


async def invoke(tool: Tool, arguments: Mapping[str, Any]) -> Outcome:
    """Never raises because of the tool; what remains is the caller's cancellation."""
    try:
        try:
            running = tool.bind(arguments)
        except ValidationError as error:
            return Outcome("error", _explain(tool, error), fault="invalid_arguments")
        output = render(await running, tool.max_output_chars)
    except ToolError as error:
        return Outcome("error", _message(error) or "The tool failed.", fault="ToolError")
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        return _failure(error)
    except (Exception, SystemExit, BaseExceptionGroup) as error:  # noqa: BLE001 - a tool's failure is a result
        return _failure(error)
    return Outcome("ok", output.text, output.result)


def _failure(error: BaseException) -> Outcome:
    name, message = type(error).__name__, _message(error)
    return Outcome("error", f"{name}: {message}" if message else name, fault=name, cause=error)


def _message(error: BaseException) -> str:
    try:
        return cut(str(error), MAX_MESSAGE_CHARS)
    except Exception:  # noqa: BLE001 - an exception whose own __str__ raises
        return ""


def _explain(tool: Tool, error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {'.'.join(map(str, each['loc'])) or 'arguments'}: {each['msg']}" for each in problems]
    return cut(f"Invalid arguments for {tool.name}:\n" + "\n".join(lines), MAX_MESSAGE_CHARS)
