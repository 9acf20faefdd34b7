"""ToolResult: the outcome of a tool call, and how each outcome is made."""

from collections.abc import Sequence
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace
from pydantic import ValidationError

from app.errors import AppError
from app.redaction.redactor import Redactor
from app.tools.context import HandOver
from app.tools.output import cut, render
from app.tools.rules.rule import ArgumentRefused
from app.tools.tool import Tool, ToolError

MAX_MESSAGE_CHARS = 2_000
"""Maximum length of an error's message for the model."""

MAX_PROBLEMS = 20
"""Maximum number of wrong arguments that a message names."""

MAX_NAME_CHARS = 64
"""Maximum length of a name in a message: a model or a caller made it up."""


ToolStatus = Literal["ok", "error", "timeout", "unknown"]
"""`unknown`: the process that made the call died before its result was there, and the tool is not called twice."""


class ToolResult(Struct, frozen=True):
    """Events, records, messages and HTTP answers about a tool call are made from this."""

    status: ToolStatus
    content: str
    """For the model: what the tool returned, or what went wrong."""
    result: Any = None
    """The JSON value behind the content; None after an error."""
    latency_ms: float = 0.0
    sources: tuple[str, ...] = ()
    """Sources that the tool used."""
    handed_over: HandOver | None = None
    """The tool asks a person to take over."""
    untrusted: bool = False
    """The content is the tool's own words, which nobody vouches for."""
    fault: str | None = None
    """A word for the log: an exception's class, or what was wrong with the call."""
    cause: BaseException | None = None
    """The exception whose stack goes to the log."""

    @property
    def error(self) -> str | None:
        """The reason of a failure, or None."""
        return None if self.status == "ok" else self.content

    def shown(self, max_chars: int) -> tuple[str | None, str | None]:
        """The result and the error as callers see them, one of them None; both if `max_chars` is 0."""
        text = cut(self.content, max_chars) if max_chars else None
        return (text, None) if self.status == "ok" else (None, text)


def returned(tool: Tool, value: Any, redactor: Redactor | None = None) -> ToolResult:
    """The result of a tool that returned; one that failed elsewhere returns a result of its own. Raises ValueError or
    TypeError for what has no JSON form, GuardUnavailable for what cannot be looked at."""
    if type(value) is ToolResult:
        content = value.content if redactor is None else redactor.text(value.content)
        return replace(value, content=cut(content, MAX_MESSAGE_CHARS))
    output = render(value, tool.max_output_chars, redactor)
    return ToolResult("ok", output.text, output.result, untrusted=tool.untrusted)


def raised(tool: Tool, error: BaseException, redactor: Redactor | None = None) -> ToolResult:
    """The result of a tool that raised; only a ToolError's words are for the model alone."""
    name, message = type(error).__name__, _message(error, redactor)
    if isinstance(error, ToolError):
        message = message or "The tool failed."
        return ToolResult("error", message, fault="ToolError", untrusted=tool.untrusted)
    message = f"{name}: {message}" if message else name
    return ToolResult("error", message, fault=name, cause=error, untrusted=tool.untrusted)


def timed_out(tool: Tool) -> ToolResult:
    message = f"The tool gave no result within {tool.timeout_seconds:g} seconds and was stopped."
    return ToolResult("timeout", message, fault="timeout")


def refused(error: AppError) -> ToolResult:
    """The result of a call that a limit did not let through."""
    return ToolResult("error", error.detail, fault=error.slug)


def secret_in_arguments() -> ToolResult:
    message = (
        "The tool was not called: its arguments held a secret, such as a password, a key or the number of a card, "
        "which must not be handed on. Call it without one, or say that it cannot be done."
    )
    return ToolResult("error", message, fault="secret_in_arguments")


def unknown_outcome() -> ToolResult:
    message = (
        "The outcome of this call is unknown: it was begun, and then interrupted by a technical fault. It may or may "
        "not have taken effect, and it was not repeated. Say so where it matters; do not call it again unless asked to."
    )
    return ToolResult("unknown", message, fault="outcome_unknown")


def off(detail: str) -> ToolResult:
    """The result of a call that is not allowed any more."""
    return ToolResult("error", detail, fault="not_allowed_when_tainted")


def denied(comment: str) -> ToolResult:
    because = f": {comment}" if comment else "."
    return ToolResult("error", f"A person has denied this call{because}", fault="denied")


def needs_approval(tool: Tool) -> ToolResult:
    """The result of a call that nobody can be asked about, for its run cannot wait."""
    message = f"{tool.name} was not called: a person would have to approve it, and this run cannot wait for one."
    return ToolResult("error", message, fault="needs_approval")


def unknown_tool(name: str, known: Sequence[str]) -> ToolResult:
    message = f"There is no tool called {name[:MAX_NAME_CHARS]!r}. Tools there are: {', '.join(known) or 'none'}."
    return ToolResult("error", message, fault="unknown_tool")


def malformed(tool: Tool) -> ToolResult:
    message = f"The arguments for {tool.name} are not a JSON object. Call it again with one."
    return ToolResult("error", message, fault="malformed_arguments")


def unknown_arguments(tool: Tool, names: Sequence[str]) -> ToolResult:
    lines = [f"- {_name((name,))}: unknown argument" for name in names[:MAX_PROBLEMS]]
    return _invalid(tool, lines, len(names))


def invalid_arguments(tool: Tool, error: ValidationError) -> ToolResult:
    problems = error.errors(include_url=False, include_context=False, include_input=False)
    lines = [f"- {_name(each['loc']) or 'arguments'}: {each['msg']}" for each in problems[:MAX_PROBLEMS]]
    return _invalid(tool, lines, len(problems))


def refused_argument(tool: Tool, error: ArgumentRefused) -> ToolResult:
    message = cut(f"Arguments that {tool.name} may not be called with:\n- {error}", MAX_MESSAGE_CHARS)
    return ToolResult("error", message, fault="argument_rule")


def _invalid(tool: Tool, lines: list[str], total: int) -> ToolResult:
    more = [f"- and {total - len(lines)} more"] if total > len(lines) else []
    message = cut("\n".join([f"Invalid arguments for {tool.name}:", *lines, *more]), MAX_MESSAGE_CHARS)
    return ToolResult("error", message, fault="invalid_arguments")


def _message(error: BaseException, redactor: Redactor | None = None) -> str:
    try:
        text = str(error)
        return cut(text if redactor is None else redactor.text(text), MAX_MESSAGE_CHARS)
    except Exception:  # noqa: BLE001 - an exception whose own __str__ raises
        return ""


def _name(loc: Sequence[str | int]) -> str:
    return ".".join(str(part)[:MAX_NAME_CHARS] for part in loc)[:MAX_NAME_CHARS]
