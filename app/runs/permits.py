"""What becomes of the calls that a model has asked for. Pure: from the run's state and its tools as they are now."""

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from app.agents.definition import Approving
from app.messages import ToolCall
from app.runs.state import Awaited, RunState
from app.safety.binding import binding_of, definition_of
from app.safety.policy import Allowed, NeedsApproval, Off, Reason, decide, policy_of
from app.tools.fitting import misfit
from app.tools.registry import Registry
from app.tools.result import ToolResult, denied, needs_approval, off, secret_in_arguments, unknown_outcome
from app.tools.rules.rule import why_asked
from app.tools.tool import Risk, Tool, WhenTainted


class Make(Struct, frozen=True):
    """The call is made. `approval_id`: a person has approved it, and that is used up."""

    approval_id: str = ""


class NotMade(Struct, frozen=True):
    result: ToolResult


class Ask(Struct, frozen=True):
    """A person has to be asked."""

    call: ToolCall
    risk: Risk
    reason: Reason
    detail: str
    definition: str
    """SHA-256 of the tool's."""
    policy: str


class Wait(Struct, frozen=True):
    """A person has been asked."""


Permit = Make | NotMade | Ask | Wait

MAKE, WAIT = Make(), Wait()
_UNKNOWN = "The call was begun, and interrupted before its result was there: it may or may not have taken effect."


class Permits(Struct, frozen=True):
    """What decides on the calls of one run."""

    run_id: str
    tools: Registry
    approving: Approving
    when_tainted: WhenTainted
    pauses: bool
    """The run can wait for a person: it has a journal."""

    def of(self, state: RunState, call: ToolCall) -> Permit:
        """About one of the calls that the state has `waiting`."""
        tool = self.tools.get(call.name)
        if tool is None or call.malformed:
            return MAKE  # its result says so: there is nothing to call
        if call.withheld:
            return NotMade(secret_in_arguments())
        awaited = state.awaited(call.id)
        if awaited is not None and not awaited.consumed:
            return self._decided(state, call, tool, awaited)
        if call.id in state.begun:
            return self._ask(call, tool, "unknown_outcome", _UNKNOWN) if tool.effect == "once" else MAKE
        return self._undecided(state, call, tool)

    def _undecided(self, state: RunState, call: ToolCall, tool: Tool) -> Permit:
        why = why_asked(tool.rules, call.arguments) if tool.rules else None
        match decide(tool, self.approving, self.when_tainted, tainted=state.tainted, asks=why):
            case Allowed():
                return MAKE
            case Off(detail):
                return NotMade(off(detail))
            case NeedsApproval(reason, detail):
                if (problem := misfit(tool, call.arguments)) is not None:
                    return NotMade(problem)
                return self._ask(call, tool, reason, detail) if self.pauses else NotMade(needs_approval(tool))

    def _decided(self, state: RunState, call: ToolCall, tool: Tool, awaited: Awaited) -> Permit:
        asked, given = awaited.asked, awaited.given
        if given is None:
            return WAIT
        if given.decision == "deny":
            return NotMade(unknown_outcome() if asked.reason == "unknown_outcome" else denied(given.comment))
        if asked.binding == self.binding(call.id, definition_of(tool), call.arguments, self.policy, asked.expires_at):
            return Make(asked.approval_id)
        if call.id in state.begun:
            return self._ask(call, tool, "unknown_outcome", _UNKNOWN)
        return self._undecided(state, call, tool)

    def _ask(self, call: ToolCall, tool: Tool, reason: Reason, detail: str) -> Ask:
        return Ask(call, tool.risk, reason, detail, definition_of(tool), self.policy)

    @property
    def policy(self) -> str:
        return policy_of(self.approving, self.when_tainted)

    def binding(
        self, call_id: str, definition: str, arguments: Mapping[str, Any], policy: str, expires_at: float
    ) -> str:
        return binding_of(self.run_id, call_id, definition, arguments, policy, expires_at)
