"""What a run has come to, as it follows from its steps. Pure: the same steps make the same state anywhere."""

from collections.abc import Callable, Iterable
from functools import reduce
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from app.messages import NANOS, AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.estimates import estimated_tokens
from app.models.protocol import REFUSALS
from app.runs.events import FinishReason, ToolCallRecord
from app.runs.steps import (
    AnswerReused,
    ApprovalAsked,
    ApprovalGiven,
    Asked,
    AskedCall,
    Attempted,
    Ended,
    ModelAnswered,
    ModelAsked,
    NotBegun,
    Resumed,
    Shortened,
    Step,
    Switched,
    ToolAnswered,
    ToolBegun,
    ToolsCalled,
)

GO_ON = (
    "Your answer was cut off by a technical fault. Go on exactly where it ends, from the next character on: repeat "
    "nothing, explain nothing, do not begin anew."
)
"""Told to a model that goes on with the answer of another."""


class Awaited(Struct, frozen=True):
    """A call that a person was asked about, and what they have said."""

    asked: AskedCall
    given: ApprovalGiven | None = None
    consumed: bool = False
    """The call was begun with it."""


class RunState(Struct, frozen=True):
    conversation: tuple[Message, ...] = ()
    """Up to the user's message."""
    messages: tuple[Message, ...] = ()
    """The turn's, after the user's."""
    reply: ModelAnswered | None = None
    """Of the model, as long as nothing has been made of it."""
    waiting: tuple[ToolCall, ...] = ()
    """Calls whose results are not there."""
    begun: tuple[str, ...] = ()
    """Ids of those of them that were begun, each as often as it was."""
    approvals: tuple[Awaited, ...] = ()
    """Of those of them that a person was asked about, the last for each."""
    text: str = ""
    """Of the last model call, and in the end the answer."""
    finish_reason: FinishReason | None = None
    usage: Usage = Usage()
    nanos: int = 0
    uncertain_tokens: int = 0
    """The part of `usage` that is an estimate: nobody counted it."""
    reasoning_tokens: int = 0
    tool_calls: tuple[ToolCallRecord, ...] = ()
    sources: tuple[str, ...] = ()
    """That tools used, each once."""
    iterations: int = 0
    """Model calls that have begun."""
    last: bool = False
    """The model call that began last is the run's last."""
    bound: FinishReason = "max_tokens"
    """What ends the run if that call's answer is cut."""
    insisted: bool = False
    """The model had said nothing, neither text nor calls, and was asked once more."""
    results_shortened: bool = False
    """Of tools: they did not fit into the model's context window."""
    handed_over: bool = False
    """A tool has asked a person to take over."""
    tainted: bool = False
    """The run has seen content that nobody vouches for: what it does next may be that content's will."""
    reused: AnswerReused | None = None
    """The cached answer that the run ended with."""
    failed: tuple[str, ...] = ()
    """References of the models that failed: each is tried once."""
    model: str = ""
    """That the run has switched to; empty: the first."""
    switched: bool = False
    """The next model call is for the answer that another model, or another process, failed to give."""
    cut: str = ""
    """Of that answer: what the reader has of it."""
    attempts: int = 0
    """Calls of models, those that failed included."""
    lost_tokens: int = 0
    """What calls that failed had written, as estimated: it is paid for, and no part of the answer."""

    @property
    def cost_usd(self) -> float:
        return self.nanos / NANOS

    @property
    def refused(self) -> bool:
        return self.finish_reason in REFUSALS

    @property
    def said(self) -> str:
        """By the model in its last call, whether or not anything has been made of it."""
        return self.text if self.reply is None else self.reply.text

    @property
    def undecided(self) -> tuple[AskedCall, ...]:
        """Calls that wait for a person's decision."""
        return tuple([one.asked for one in self.approvals if one.given is None])

    @property
    def paused(self) -> bool:
        """Whether nothing can be done before a person has decided."""
        return bool(self.approvals) and len(self.undecided) == len(self.waiting)

    def awaited(self, call_id: str) -> Awaited | None:
        return next((one for one in self.approvals if one.asked.call_id == call_id), None)

    @property
    def next_iteration(self) -> int:
        """The number of the model call that is next. One that is made again has the number of the first."""
        return self.iterations if self.switched else self.iterations + 1

    def all_messages(self) -> list[Message]:
        """What the model is given next."""
        if self.cut:
            return [*self.conversation, *self.messages, AssistantMessage(self.cut), UserMessage(GO_ON)]
        return [*self.conversation, *self.messages]

    def interrupted(self, text: str) -> list[Message]:
        """The turn's messages after the user's, of a run that did not come to its end while the model said `text`."""
        said = text if self.reply is None else self.reply.text
        return [*self.messages, AssistantMessage(said, interrupted=True)]


def state_of(steps: Iterable[Step]) -> RunState:
    return reduce(after, steps, RunState())


def after(state: RunState, step: Step) -> RunState:
    return _AFTER[type(step)](state, step)


def _after_asking(state: RunState, step: Asked) -> RunState:
    return replace(state, conversation=step.conversation, tainted=step.tainted)


def _after_a_question(state: RunState, step: ModelAsked) -> RunState:
    return replace(
        state,
        iterations=state.next_iteration,
        switched=False,
        last=step.last,
        bound=step.bound,
        insisted=state.insisted or state.reply is not None,
        reply=None,
    )


def _after_an_attempt(state: RunState, step: Attempted) -> RunState:
    lost = step.usage.output_tokens if step.uncertain else 0
    return replace(
        state,
        usage=state.usage + step.usage,
        nanos=state.nanos + step.nanos,
        uncertain_tokens=state.uncertain_tokens + (step.usage.total if step.uncertain else 0),
        lost_tokens=state.lost_tokens + lost,
    )


def _after_shortening(state: RunState, step: Shortened) -> RunState:
    return replace(
        state,
        conversation=state.conversation if step.conversation is None else step.conversation,
        messages=state.messages if step.messages is None else step.messages,
        results_shortened=state.results_shortened or step.messages is not None,
    )


def _after_a_reply(state: RunState, step: ModelAnswered) -> RunState:
    return replace(
        state,
        reply=step,
        cut="",
        reasoning_tokens=state.reasoning_tokens + step.reasoning_tokens,
        attempts=state.attempts + step.attempts,
    )


def _after_switching(state: RunState, step: Switched) -> RunState:
    return replace(
        state,
        failed=(*state.failed, step.model),
        model=step.to,
        switched=True,
        reply=None,
        insisted=False,
        cut=step.said,
        attempts=state.attempts + step.attempts,
        lost_tokens=max(0, state.lost_tokens - estimated_tokens(step.said)),
    )


def _after_calling(state: RunState, step: ToolsCalled) -> RunState:
    message = step.message
    called = (*state.messages, message)
    return replace(state, messages=called, text=message.content, waiting=message.tool_calls, reply=None)


def _after_asking_a_person(state: RunState, step: ApprovalAsked) -> RunState:
    anew = {call.call_id for call in step.calls}
    others = [one for one in state.approvals if one.asked.call_id not in anew]
    return replace(state, approvals=(*others, *[Awaited(call) for call in step.calls]))


def _after_a_decision(state: RunState, step: ApprovalGiven) -> RunState:
    decided = [
        replace(one, given=step) if one.asked.approval_id == step.approval_id else one for one in state.approvals
    ]
    return replace(state, approvals=tuple(decided))


def _after_a_begin(state: RunState, step: ToolBegun) -> RunState:
    return replace(
        state, begun=(*state.begun, step.call_id), approvals=_consumed(state.approvals, {step.approval_id}, True)
    )


def _after_no_begin(state: RunState, step: NotBegun) -> RunState:
    begun = list(state.begun)
    for call_id in step.calls:
        begun.remove(call_id)
    kept = tuple([one for one in state.approvals if one.asked.call_id not in step.lapsed])
    ids = {one.asked.approval_id for one in kept if one.asked.call_id in step.calls}
    return replace(state, begun=tuple(begun), approvals=_consumed(kept, ids, False))


def _consumed(approvals: tuple[Awaited, ...], ids: set[str], consumed: bool) -> tuple[Awaited, ...]:
    return tuple([replace(one, consumed=consumed) if one.asked.approval_id in ids else one for one in approvals])


def _after_a_result(state: RunState, step: ToolAnswered) -> RunState:
    answered = step.message.tool_call_id
    return replace(
        state,
        messages=_with_result(state.messages, step.message),
        waiting=tuple([call for call in state.waiting if call.id != answered]),
        begun=tuple([call_id for call_id in state.begun if call_id != answered]),
        approvals=tuple([one for one in state.approvals if one.asked.call_id != answered]),
        tool_calls=(*state.tool_calls, step.record),
        sources=tuple(dict.fromkeys((*state.sources, *step.sources))),
        handed_over=state.handed_over or step.handed_over,
        tainted=state.tainted or step.untrusted,
    )


def _with_result(messages: tuple[Message, ...], result: ToolMessage) -> tuple[Message, ...]:
    """Results stand in the order of their calls, in whatever order they came."""
    before, results = list(messages), [result]
    while isinstance(last := before[-1], ToolMessage):
        results.append(last)
        before.pop()
    order = [call.id for call in last.tool_calls] if isinstance(last, AssistantMessage) else []
    return (*before, *sorted(results, key=lambda one: order.index(one.tool_call_id)))


def _after_the_end(state: RunState, step: Ended) -> RunState:
    cut = step.reason in ("max_tokens", "max_cost")
    said, extras = ("", None) if state.reply is None else (state.reply.text, state.reply.extras)
    unanswered = step.reason == "max_iterations" and not said.strip()
    answer = AssistantMessage(step.text, (), extras, cut or unanswered)
    return replace(state, messages=(*state.messages, answer), reply=None, text=step.text, finish_reason=step.reason)


def _after_reuse(state: RunState, step: AnswerReused) -> RunState:
    return replace(
        state,
        messages=(AssistantMessage(step.text),),
        reply=None,
        waiting=(),
        text=step.text,
        sources=step.sources,
        finish_reason="stop",
        reused=step,
    )


def _after_a_resumption(state: RunState, step: Resumed) -> RunState:
    return replace(state, switched=True) if step.again else state


_AFTER: dict[type[Step], Callable[[RunState, Any], RunState]] = {
    Asked: _after_asking,
    ModelAsked: _after_a_question,
    Attempted: _after_an_attempt,
    Shortened: _after_shortening,
    ModelAnswered: _after_a_reply,
    Switched: _after_switching,
    ToolsCalled: _after_calling,
    ApprovalAsked: _after_asking_a_person,
    ApprovalGiven: _after_a_decision,
    ToolBegun: _after_a_begin,
    NotBegun: _after_no_begin,
    ToolAnswered: _after_a_result,
    AnswerReused: _after_reuse,
    Resumed: _after_a_resumption,
    Ended: _after_the_end,
}
"""By kind: a `match` would try one after another."""
