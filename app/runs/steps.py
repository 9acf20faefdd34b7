"""The facts of a run, in the order in which they came about. What a run is follows from them alone: see state.py.

They are values that can be written down: each encodes to JSON and back (`msgspec.json`, type `Step`).
"""

from typing import Literal

from msgspec import Struct

from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage, Usage
from app.models.protocol import StopReason
from app.runs.events import FinishReason, ToolCallRecord
from app.safety.policy import Reason
from app.tools.tool import Risk


class Asked(Struct, frozen=True, tag=True):
    """The run began with this conversation, whose last message is the user's."""

    conversation: tuple[Message, ...]
    tainted: bool = False
    """What was said before may be the will of content that nobody vouches for."""


class ModelAsked(Struct, frozen=True, tag=True):
    """A model call began. `last`: without tools. `bound` is what ends the run where the answer is cut."""

    last: bool
    bound: FinishReason


class Attempted(Struct, frozen=True, tag=True):
    """A model was called once: what its provider charges for it, whether it answered or was cut."""

    model: str
    usage: Usage
    nanos: int
    uncertain: bool = False


class Shortened(Struct, frozen=True, tag=True):
    """The conversation was too long for the model: one with less history, tools' results with less text."""

    conversation: tuple[Message, ...] | None
    messages: tuple[Message, ...] | None


class ModelAnswered(Struct, frozen=True, tag=True):
    text: str
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    extras: Extras | None = None
    reasoning_tokens: int = 0
    attempts: int = 1
    """Of this model call, those that failed included."""


class Switched(Struct, frozen=True, tag=True):
    """A model failed, and another one goes on with the run. `said` is what the reader has of its answer."""

    model: str
    to: str
    reason: str
    attempts: int
    said: str = ""


class ToolsCalled(Struct, frozen=True, tag=True):
    """Tools are about to be called, as the message says: its calls are the model's, with names and ids of ours."""

    message: AssistantMessage


class AskedCall(Struct, frozen=True):
    """A call that a person is asked about: see app/safety/binding.py."""

    approval_id: str
    call_id: str
    tool: str
    risk: Risk
    reason: Reason
    detail: str
    definition: str
    policy: str
    expires_at: float
    binding: str
    shown: str
    """SHA-256 of the canonical JSON of the arguments as people see them: without secrets."""


class ApprovalAsked(Struct, frozen=True, tag=True):
    """The run waits for decisions on these calls. What was asked about them before does not count any more."""

    calls: tuple[AskedCall, ...]


class ApprovalGiven(Struct, frozen=True, tag=True):
    """A person has decided."""

    approval_id: str
    decision: Literal["approve", "deny"]
    by: str
    comment: str = ""


class ToolBegun(Struct, frozen=True, tag=True):
    """A tool that does more than read, or that was approved, is about to be called: should its process die now, its
    outcome is unknown. `approval_id`: the approval that is used up."""

    call_id: str
    approval_id: str = ""


class NotBegun(Struct, frozen=True, tag=True):
    """These calls were not made after all. `lapsed`: those of them whose approvals do not hold any more."""

    calls: tuple[str, ...]
    lapsed: tuple[str, ...] = ()


class ToolAnswered(Struct, frozen=True, tag=True):
    message: ToolMessage
    record: ToolCallRecord
    sources: tuple[str, ...] = ()
    """What the tool used, such as addresses of documents."""
    handed_over: bool = False
    """The tool has asked a person to take over."""
    untrusted: bool = False
    """What it returned is content that nobody vouches for: the run is tainted."""


class AnswerReused(Struct, frozen=True, tag=True):
    """The run is over with an answer that was kept from an earlier one. `stale`: no model could make a new one."""

    text: str
    model: str
    age_seconds: float
    sources: tuple[str, ...] = ()
    stale: bool = False


class Ended(Struct, frozen=True, tag=True):
    """The run is over, and this is its answer."""

    reason: FinishReason
    text: str


class Resumed(Struct, frozen=True, tag=True):
    """Another process goes on with the run. `again`: a model call was cut, and is made again under its number."""

    again: bool


Step = (
    Asked
    | ModelAsked
    | Attempted
    | Shortened
    | ModelAnswered
    | Switched
    | ToolsCalled
    | ApprovalAsked
    | ApprovalGiven
    | ToolBegun
    | NotBegun
    | ToolAnswered
    | AnswerReused
    | Resumed
    | Ended
)
