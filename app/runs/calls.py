"""What a run does outside of itself: one model call, or one answer's tool calls. Events go out, steps are recorded."""

import asyncio
from collections.abc import Coroutine, Sequence
from functools import partial
from typing import Any

from app.errors import ContextTooLong, GuardUnavailable, LimitsUnavailable, RateLimited, StateUnavailable
from app.limits.allowance import Growth
from app.messages import AssistantMessage, ToolCall, ToolMessage
from app.models.protocol import REFUSALS, Beside, ModelRequest, ToolSpec
from app.runs.candidates import attempt_ends_at, larger_is_left, may_be_replaced, number_left
from app.runs.cleaning import clean_reply, clean_result
from app.runs.context import RunContext
from app.runs.events import ToolCallRecord, ToolFinished, ToolStarted, UsageReported
from app.runs.fallback import Refused
from app.runs.journal import Journal, NotApproved
from app.runs.marking import hand_over
from app.runs.plan import CallModel, CallTools, growth_beside_tools
from app.runs.ration import Left
from app.runs.shortening import shorten_results
from app.runs.steps import ModelAnswered, ModelAsked, NotBegun, Shortened, ToolAnswered, ToolBegun, ToolsCalled
from app.runs.valid_calls import used_ids, valid_calls
from app.runs.window import within_window
from app.safety.fence import fenced
from app.tools.call import call_tool, not_made
from app.tools.context import ToolContext
from app.tools.result import ToolResult, refused


async def settle(run: RunContext, growth: Growth | None = None) -> None:
    """Record what the run has used and, with `growth`, reserve that, in one round trip to the store."""
    if run.journal is not None:
        await run.journal.checkpoint(growth)
    else:
        await run.services.limiter.settle(run.reservation, growth, over=False)


async def call_model(run: RunContext, call: CallModel) -> None:
    """Emits a Token for each piece of text and a Reasoning for each of reasoning, then UsageReported.

    A conversation that is too long for the model is shortened and sent once more. Raises what Model.generate does.
    """
    run.record(ModelAsked(call.last, call.bound))
    try:
        await _generate(run, call)
    except ContextTooLong:
        if run.pieces or larger_is_left(run) or not _shorten(run):
            raise
        await _generate(run, call)


async def _generate(run: RunContext, call: CallModel) -> None:
    run.pieces[:] = [run.state.cut] if run.state.cut else ()
    run.beside, run.telling = None, None

    def on_beside(kind: Beside, text: str) -> None:
        run.beside, run.beside_at = kind, len(run.pieces)
        if kind == "reasoning":
            run.tell_reasoning(text)

    left = number_left(run)
    ends_at = attempt_ends_at(run, left)
    request = _request(run, call)
    done = await run.model.generate(request, run.tell, on_beside, run.pay, ends_at, spare=left > 0, trail=run.trail)
    redacted = run.end_telling(cut=done.stop_reason == "max_tokens")
    text = "".join(run.pieces) if done.text is None else run.state.cut + run.clean(done.text)
    calls, extras = (done.tool_calls, done.extras) if run.redactor is None else clean_reply(run, done, text, redacted)
    replaced = done.stop_reason in REFUSALS and may_be_replaced(run)
    attempts = 0 if replaced else run.trail.take_attempts()
    answer = ModelAnswered(text, calls, done.stop_reason, extras, done.reasoning_tokens, attempts)
    if replaced:
        raise Refused(answer)
    run.record(answer)
    run.emit(UsageReported(done.model, done.usage, done.cost_usd, run.state.iterations))


def _request(run: RunContext, call: CallModel) -> ModelRequest:
    messages, window = run.state.all_messages(), run.model.context_window
    answer, reasoning = call.answer, call.reasoning
    if window is not None:
        answer, reasoning = within_window(window, answer, reasoning, call.system, messages, run.costs.beside_tokens)
    tools, asked = () if call.last else run.tools.specs, run.request
    temperature = run.agent.temperature if asked.temperature is None else asked.temperature
    return ModelRequest(
        call.system,
        messages,
        tools,
        answer,
        asked.stream,
        reasoning,
        temperature,
        asked.response_format,
        _conversation(run, tools),
        run.redactor is not None,
    )


def _conversation(run: RunContext, tools: Sequence[ToolSpec]) -> str:
    """Empty where most likely nothing continues it: a question without tools and without a session."""
    goes_on = tools or run.request.session_id is not None or run.request.history is not None
    return run.memory.session_id if goes_on else ""


def _shorten(run: RunContext) -> bool:
    conversation = run.memory.recall_less(run.model.ref)
    results = shorten_results(run.state.messages)
    if conversation is None and results is None:
        return False
    run.record(
        Shortened(
            None if conversation is None else tuple(conversation),
            None if results is None else tuple(results),
        )
    )
    return True


def take_calls(run: RunContext, calls: Sequence[ToolCall]) -> None:
    """Note what the model wants to be called, with names and ids of ours."""
    reply = run.state.reply
    assert reply is not None  # noqa: S101 - for the type checker
    used = used_ids(run.state.all_messages())
    named, extras = valid_calls(calls, reply.extras, run.tools.registry, used)
    run.record(ToolsCalled(AssistantMessage(reply.text, named, extras)))
    run.pieces.clear()


async def call_tools(run: RunContext, wanted: CallTools, left: Left) -> None:
    """Call the tools together; what the run has used is settled meanwhile, and what it needs next reserved.

    Results that are there when the run is cancelled are kept.
    """
    growth = growth_beside_tools(run.state, run.limits, left, run.costs)
    if run.journal is not None:
        await call_tools_durably(run, run.journal, wanted, growth)
        return
    await _together(
        settle(run, growth), *[_call_tool(run, call, wanted.not_made.get(call.id)) for call in wanted.calls]
    )


async def call_tools_durably(run: RunContext, journal: Journal, wanted: CallTools, growth: Growth | None) -> None:
    """The same with a journal: it is told of tools that do more than read, and of approvals that are used up, before
    any is called, and of each result as it is there. Does nothing if an approval does not hold any more."""
    if journal.leaving:
        await journal.checkpoint()
    if not await _begun(run, journal, wanted, growth):
        return

    async def call_and_write(call: ToolCall) -> None:
        await _call_tool(run, call, wanted.not_made.get(call.id))
        await journal.checkpoint()

    await _together(*map(call_and_write, wanted.calls))


async def _together(*steps: Coroutine[Any, Any, None]) -> None:
    """Raises GuardUnavailable as itself: the run ends with it, as with any error of its own."""
    try:
        async with asyncio.TaskGroup() as group:
            for step in steps:
                group.create_task(step)
    except* GuardUnavailable as errors:
        raise errors.exceptions[0] from None


async def _begun(run: RunContext, journal: Journal, wanted: CallTools, growth: Growth | None) -> bool:
    """Have the journal say that the calls are about to be made."""
    begun = [call.id for call in wanted.calls if call.id not in wanted.not_made and _is_told(run, wanted, call)]
    for call_id in begun:
        run.record(ToolBegun(call_id, wanted.approved.get(call_id, "")))
    try:
        await journal.checkpoint(growth)
    except NotApproved as error:
        lapsed = [call_id for call_id in begun if wanted.approved.get(call_id) in error.approvals]
        run.record(NotBegun(tuple(begun), tuple(lapsed)))
        return False
    except asyncio.CancelledError:
        if begun:
            run.record(NotBegun(tuple(begun)))
        raise
    return True


def _is_told(run: RunContext, wanted: CallTools, call: ToolCall) -> bool:
    """Whether the journal has to know of the call before it is made."""
    if call.id in wanted.approved:
        return True
    tool = run.tools.registry.get(call.name)
    return tool is not None and tool.effect != "read" and call.id not in run.state.begun


async def _call_tool(run: RunContext, call: ToolCall, instead: ToolResult | None = None) -> None:
    """`instead`: what is said of a call that is not made."""
    arguments = run.clean(call.arguments)
    run.emit(ToolStarted(call.id, call.name, arguments))
    if instead is None:
        result = await _result(run, call)
    else:
        result = not_made(_context(run), call, instead, run.services.audit)
    shown = clean_result(run, result)
    told = (shown.status, shown.latency_ms, *shown.shown(run.services.settings.tool_result_chars))
    run.emit(ToolFinished(call.id, call.name, *told))
    message = _message_of(call, result)
    handed = result.handed_over
    if handed is not None:
        hand_over(run, handed)
    record = ToolCallRecord(call.name, arguments, *told)
    run.record(ToolAnswered(message, record, shown.sources, handed is not None, result.untrusted))


def _message_of(call: ToolCall, result: ToolResult) -> ToolMessage:
    """For the model, which is told where content that nobody vouches for begins and ends."""
    content = fenced(result.content, call.name) if result.untrusted else result.content
    return ToolMessage(call.id, call.name, content, is_error=result.status != "ok", untrusted=result.untrusted)


def _context(run: RunContext) -> ToolContext:
    run_id, iteration = run.reservation.run_id, run.state.iterations
    return ToolContext(run.principal, run_id, deadline=run.ends_at, iteration=iteration)


async def _result(run: RunContext, call: ToolCall) -> ToolResult:
    slot = partial(run.services.limiter.tool_slot, run.principal)
    try:
        return await call_tool(
            run.tools.registry,
            _context(run),
            call,
            slot=slot,
            tracing=run.services.tracing,
            audit=run.services.audit,
            redactor=run.redactor,
        )
    except (RateLimited, LimitsUnavailable, StateUnavailable) as error:
        return refused(error)  # the model is told, and continues without the tool
