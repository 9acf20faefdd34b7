"""What a run does next, decided from what it has come to and what it may still use. Pure: nothing is asked or done."""

from collections.abc import Mapping

from msgspec import Struct

from app.agents.definition import RunLimits
from app.errors import AppError, ModelUnavailable, RequestTooExpensive
from app.limits.allowance import Growth
from app.messages import ToolCall
from app.models.prices import Price
from app.runs.estimates import Bound, most_input_tokens
from app.runs.events import FinishReason
from app.runs.permits import Ask, Make, NotMade, Permits
from app.runs.ration import Left, Ration, growth_for, ration_of
from app.runs.state import RunState
from app.runs.steps import ModelAnswered
from app.tools.result import ToolResult

ANSWER_NOW = "No more tools can be called. Answer now, with what you have."
"""Told to a model that has one call left, or said nothing."""

RESULT_TOKENS = 2000
"""What a tool's result is expected to take at most, before it is there."""


class Costs(Struct, frozen=True):
    """What the model calls of a run have in common: what they are told each time, and what a token costs."""

    price: Price
    system_prompt: str
    beside_tokens: int
    """That telling a model of the tools and of the answer's format may take."""


class CallModel(Struct, frozen=True):
    system: str
    answer: int
    """Maximum number of tokens to answer with."""
    reasoning: int
    """To think with, beside them."""
    bound: Bound
    """What ends the run where the answer is cut at its maximum."""
    last: bool
    """Without tools."""


class Reserve(Struct, frozen=True):
    """More has to be reserved before the next model call can be decided."""

    growth: Growth


class TakeCalls(Struct, frozen=True):
    """The model wants tools to be called."""

    calls: tuple[ToolCall, ...]


class CallTools(Struct, frozen=True):
    calls: tuple[ToolCall, ...]
    not_made: Mapping[str, ToolResult] = {}
    """By their ids those that are not made, with what is said instead."""
    approved: Mapping[str, str] = {}
    """Likewise those that a person has approved: the approvals that they use up."""


class AskApproval(Struct, frozen=True):
    asks: tuple[Ask, ...]


class Pause(Struct, frozen=True):
    """Nothing can be done before a person has decided."""


class Finish(Struct, frozen=True):
    reason: FinishReason


class Fail(Struct, frozen=True):
    error: AppError


Action = CallModel | Reserve | TakeCalls | CallTools | AskApproval | Pause | Finish | Fail


def next_action(state: RunState, limits: RunLimits, left: Left, costs: Costs, permits: Permits) -> Action:
    """`left` is what is reserved for the run now."""
    reply = state.reply
    if reply is not None:
        reason = _finish_reason(state, reply, limits)
        if reason is None:
            return TakeCalls(reply.tool_calls)
        if reason != "stop" or reply.text.strip():
            return Finish(state.bound if reason == "max_tokens" else reason)
        if state.last:  # it said nothing, and has been asked once more or cannot be
            return Fail(ModelUnavailable("The model gave an empty answer. Try again.", reason="empty_answer"))
    elif state.waiting:
        return _about_calls(state, permits)
    return _model_call(state, limits, left, costs)


def _about_calls(state: RunState, permits: Permits) -> CallTools | AskApproval | Pause:
    """Calls that need nobody come first: what they return may be why others need somebody."""
    ready: list[ToolCall] = []
    asks: list[Ask] = []
    not_made: dict[str, ToolResult] = {}
    approved: dict[str, str] = {}
    for call in state.waiting:
        match permits.of(state, call):
            case Make(approval_id):
                ready.append(call)
                if approval_id:
                    approved[call.id] = approval_id
            case NotMade(result):
                ready.append(call)
                not_made[call.id] = result
            case Ask() as ask:
                asks.append(ask)
    if ready:
        return CallTools(tuple(ready), not_made, approved)
    return AskApproval(tuple(asks)) if asks else Pause()


def _finish_reason(state: RunState, reply: ModelAnswered, limits: RunLimits) -> FinishReason | None:
    """What ends the run with the model's reply; None: its tools are called."""
    if reply.stop_reason in ("max_tokens", "refusal", "content_filter"):
        return reply.stop_reason
    if state.last and not state.insisted and (reply.tool_calls or state.messages):
        return "max_iterations"
    if state.last or not reply.tool_calls:
        return "stop"
    if _answered(state, limits) >= limits.max_tokens:
        return "max_tokens"
    return "max_cost" if state.cost_usd >= limits.max_cost_usd else None


def _model_call(state: RunState, limits: RunLimits, left: Left, costs: Costs) -> CallModel | Reserve | Finish | Fail:
    insists = state.insisted or state.reply is not None
    last = insists or state.next_iteration >= limits.max_iterations
    system = costs.system_prompt
    if last and (insists or state.messages):
        system = f"{system}\n\n{ANSWER_NOW}".lstrip()
    read = most_input_tokens(system, state.all_messages(), costs.beside_tokens)
    answer = limits.max_tokens - _answered(state, limits)
    reasoning = max(0, limits.max_reasoning_tokens - state.reasoning_tokens)
    ration = ration_of(
        costs.price, left, read, Ration(answer, reasoning, "max_tokens"), first=state.next_iteration == 1
    )
    if isinstance(ration, Growth):
        return Reserve(ration)
    if isinstance(ration, AppError):
        return Fail(ration)
    if ration.answer >= 1:
        bound = ration.bound if ration.answer < answer else "max_tokens"
        return CallModel(system, ration.answer, ration.reasoning, bound, last)
    return _give_up(state, ration.bound)


def _give_up(state: RunState, bound: Bound) -> Finish | Fail:
    if state.next_iteration > 1:
        return Finish(bound)
    what = "cost more" if bound == "max_cost" else "take more tokens"
    return Fail(RequestTooExpensive(f"The request may {what} than a single run may. Send less at once."))


def growth_beside_tools(state: RunState, limits: RunLimits, left: Left, costs: Costs) -> Growth | None:
    """What the model call after the tools that are being called is expected to need; None if that is reserved."""
    if left.whole:
        return None
    read = most_input_tokens(costs.system_prompt, state.all_messages(), costs.beside_tokens)
    read += RESULT_TOKENS * len(state.waiting)
    write = max(0, limits.max_tokens - _answered(state, limits))
    write += max(0, limits.max_reasoning_tokens - state.reasoning_tokens)
    growth = growth_for(costs.price, left, read, write)
    return None if left.tokens >= growth.wanted[0] and left.nanos >= growth.wanted[1] else growth


def answer_text(state: RunState, reason: FinishReason) -> str:
    """The run's answer if it ends now. Never empty in silence: where a limit left none, that is said."""
    text = state.said
    if reason in ("max_tokens", "max_cost", "max_iterations") and not text.strip():
        return f"[There is no answer: the run came to a limit first ({reason}).]"
    return text


def _answered(state: RunState, limits: RunLimits) -> int:
    return limits.answered(state.usage.output_tokens - state.lost_tokens, state.reasoning_tokens)
