"""One call of a tool's function, and what came of it in words a model can read."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ValidationError

from app.tools.output import cut, render
from app.tools.tool import Tool, ToolError

MAX_MESSAGE_CHARS = 2_000
"""The most of an error's message that goes back to the model."""

MAX_PROBLEMS = 20
"""Maximum number of wrong arguments that a message names."""

MAX_NAME_CHARS = 64
"""Maximum length of an argument's name in a message: a model or a caller made it up."""


ToolStatus = Literal["ok", "error", "timeout"]


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
    if refused := _too_many(tool, arguments):
        return refused
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


def _too_many(tool: Tool, arguments: Mapping[str, Any]) -> Outcome | None:
    """The refusal of arguments that are mostly unknown: pydantic would make an error of each."""
    known = tool.parameters.get("properties", {})
    if len(arguments) <= len(known) + MAX_PROBLEMS:
        return None
    unknown = [name for name in arguments if name not in known]
    lines = [f"- {_name((name,))}: unknown argument" for name in unknown[:MAX_PROBLEMS]]
    return Outcome("error", _invalid(tool, lines, len(unknown)), fault="invalid_arguments")


def _explain(tool: Tool, error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {_name(each['loc']) or 'arguments'}: {each['msg']}" for each in problems[:MAX_PROBLEMS]]
    return _invalid(tool, lines, len(problems))


def _invalid(tool: Tool, lines: list[str], total: int) -> str:
    more = [f"- and {total - len(lines)} more"] if total > len(lines) else []
    return cut("\n".join([f"Invalid arguments for {tool.name}:", *lines, *more]), MAX_MESSAGE_CHARS)


def _name(loc: Sequence[str | int]) -> str:
    return ".".join(str(part)[:MAX_NAME_CHARS] for part in loc)[:MAX_NAME_CHARS]
