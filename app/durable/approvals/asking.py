"""What a run's steps mean for its approvals in the store: those that are asked for, and those that calls use up."""

from collections.abc import Iterator, Sequence

import msgspec

from app.durable.approvals.record import Approval
from app.durable.record import Asked, Consumed, Record
from app.messages import ToolCall
from app.runs.context import RunContext
from app.runs.steps import ApprovalAsked, AskedCall, NotBegun, Step, ToolBegun, ToolsCalled

_encode = msgspec.json.Encoder().encode


def call_of(steps: Sequence[Step], call_id: str) -> ToolCall | None:
    """The call with this id, as it would be made."""
    messages = (step.message for step in reversed(steps) if type(step) is ToolsCalled)
    return next((call for message in messages for call in message.tool_calls if call.id == call_id), None)


def asked_in(steps: Sequence[Step], run: RunContext, record: Record) -> tuple[Asked, ...]:
    """`steps` are those of the run that are written now."""
    calls = [call for step in steps if type(step) is ApprovalAsked for call in step.calls]
    return tuple([_asked(one, run, record) for one in calls])


def consumed_in(steps: Sequence[Step], run: RunContext) -> tuple[Consumed, ...]:
    """Likewise."""
    begun: dict[str, str] = {}
    for step in steps:
        if type(step) is ToolBegun and step.approval_id:
            begun[step.call_id] = step.approval_id
        elif type(step) is NotBegun:
            for call_id in step.calls:
                begun.pop(call_id, None)
    if not begun:
        return ()
    bindings = {call.approval_id: call.binding for call in all_asked(run.steps)}
    return tuple([Consumed(approval_id, bindings[approval_id]) for approval_id in begun.values()])


def all_asked(steps: Sequence[Step]) -> Iterator[AskedCall]:
    """The calls that people were asked about, in turn."""
    for step in steps:
        if type(step) is ApprovalAsked:
            yield from step.calls


def _asked(one: AskedCall, run: RunContext, record: Record) -> Asked:
    caller = record.work.caller
    call = call_of(run.steps, one.call_id)
    approval = Approval(
        approval_id=one.approval_id,
        run_id=record.work.run_id,
        owner=record.owner,
        requester=caller,
        agent=record.agent,
        tool=one.tool,
        call_id=one.call_id,
        arguments={} if call is None else run.clean(call.arguments),
        risk=one.risk,
        reason=one.reason,
        detail=one.detail,
        requester_may_decide=run.agent.approving.requester,
        binding=one.binding,
        definition=one.definition,
        policy=one.policy,
        created_at=0.0,
        expires_at=one.expires_at,
    )
    return Asked(one.approval_id, caller.team or "", one.tool, one.binding, one.expires_at, _encode(approval))
