"""What a model and its tools say, without secrets: a reply, a result, an error."""

from msgspec.structs import replace

from app.errors import AppError, GuardUnavailable
from app.messages import Extras, ToolCall
from app.models.protocol import Completion
from app.runs.context import RunContext
from app.tools.result import ToolResult


def clean_reply(
    run: RunContext, done: Completion, text: str, redacted: bool
) -> tuple[tuple[ToolCall, ...], Extras | None]:
    """The calls of a reply with this text, and what its provider wants back: that goes where it repeats what was taken
    out. Raises GuardUnavailable."""
    calls = tuple([_clean_call(run, call) for call in done.tool_calls])
    extras = done.extras
    if extras is None:
        return calls, None
    changed = redacted or (done.text is not None and not text.endswith(done.text))
    changed = changed or any(call is not was for call, was in zip(calls, done.tool_calls, strict=True))
    holds = changed or run.clean(extras.message) is not extras.message or run.clean(extras.calls) is not extras.calls
    return calls, None if holds else extras


def _clean_call(run: RunContext, call: ToolCall) -> ToolCall:
    """The call itself, unless there is a secret in its arguments, and its tool is not one that takes secrets."""
    tool = run.tools.registry.get(call.name)
    if tool is not None and tool.secrets:
        return call
    arguments, malformed = run.clean(call.arguments), run.clean(call.malformed)
    if arguments is call.arguments and malformed == call.malformed:
        return call
    return replace(call, arguments=arguments, malformed=malformed, withheld=True)


def clean_result(run: RunContext, result: ToolResult) -> ToolResult:
    """As callers see it. Models see what tools that return secrets have returned."""
    content, sources = run.clean(result.content), run.clean(result.sources)
    if content == result.content and sources is result.sources:
        return result
    return replace(result, content=content, sources=sources)


def clean_error(run: RunContext, error: AppError) -> AppError:
    """The error, without secrets in its words; where these cannot be looked at, that is the error."""
    if run.redactor is None or isinstance(error, GuardUnavailable):
        return error
    try:
        error.detail = run.redactor.text(error.detail)
    except GuardUnavailable as broken:
        return broken
    return error
