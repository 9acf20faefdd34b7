"""What a run can emit. `Run` iterates over these; every interface is a rendering of them."""

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from msgspec import Struct

from app.errors import AppError
from app.messages import Usage
from app.tools.result import ToolStatus
from app.tools.tool import Risk

FinishReason = Literal["stop", "max_tokens", "max_iterations", "max_cost", "refusal", "content_filter"]


class ToolCallRecord(Struct, frozen=True):
    """A tool call as the caller of a run sees it afterwards."""

    name: str
    arguments: Mapping[str, Any]
    status: ToolStatus
    latency_ms: float
    result: str | None = None
    """What the tool returned, cut to a bound; None if it failed, or results are not shown."""
    error: str | None = None
    """Why it failed, as the model was told."""


class Suggestion(Struct, frozen=True):
    """How a run like this could be cheaper or better. `kind` is a fixed word, `detail` a sentence for people."""

    kind: str
    detail: str


class Answer(Struct, frozen=True):
    """A finished run, whole."""

    answer: str
    session_id: str
    message_id: str
    run_id: str
    """The same as `message_id`: a run makes one turn, which has its id."""
    model: str
    finish_reason: FinishReason
    usage: Usage
    tokens_used: int
    cost_usd: float
    latency_ms: float
    trace_id: str
    request_id: str
    cached: bool = False
    age_seconds: float | None = None
    """Of a cached answer."""
    sources: tuple[str, ...] = ()
    degraded: tuple[str, ...] = ()
    escalated: bool = False
    """The agent has asked a person to take over."""
    fallback_from: str | None = None
    """The model that was meant to answer, where another one did."""
    attempts: int = 1
    """Calls of models, those that failed included."""
    tool_calls: tuple[ToolCallRecord, ...] = ()
    iterations: int = 1
    suggestions: tuple[Suggestion, ...] = ()


class RunStarted(Struct, frozen=True):
    name: ClassVar[str] = "run.started"
    session_id: str
    message_id: str
    run_id: str
    model: str
    request_id: str
    trace_id: str
    headers: Mapping[str, str] = {}
    """Of the answer: where the caller stands with their limits."""


class Token(Struct, frozen=True):
    """A piece of the answer, as the model cut it."""

    name: ClassVar[str] = "token"
    text: str


class Reasoning(Struct, frozen=True):
    """A piece of what the model thinks before it answers; no part of the answer."""

    name: ClassVar[str] = "reasoning"
    text: str


class ToolStarted(Struct, frozen=True):
    name: ClassVar[str] = "tool.started"
    id: str
    tool: str
    arguments: Mapping[str, Any]


class ToolFinished(Struct, frozen=True):
    name: ClassVar[str] = "tool.finished"
    id: str
    tool: str
    status: ToolStatus
    latency_ms: float
    result: str | None = None
    error: str | None = None


class ModelSwitched(Struct, frozen=True, rename={"from_": "from"}):
    """A model failed, and another one goes on. What was sent before stays: the answer continues at that character."""

    name: ClassVar[str] = "model.switched"
    from_: str
    to: str
    at_char: int
    reason: str


class UsageReported(Struct, frozen=True):
    """What one model call used. Its text ends here: the run's answer is the text of its last iteration."""

    name: ClassVar[str] = "usage"
    model: str
    usage: Usage
    cost_usd: float
    iteration: int = 1


class ApprovalRequired(Struct, frozen=True):
    """A tool is not called before a person has approved it. `reason` is why: `risk`, `rule`, `tainted`,
    `unknown_outcome`."""

    name: ClassVar[str] = "approval.required"
    approval_id: str
    call_id: str
    tool: str
    arguments: Mapping[str, Any]
    """Exactly those that the tool would be called with, but for secrets."""
    risk: Risk
    reason: str
    detail: str
    """For people."""
    expires_at: float
    """In seconds since the epoch."""


class RunPaused(Struct, frozen=True):
    """The run waits for decisions, and nothing works on it meanwhile. It goes on with `run.resumed`."""

    name: ClassVar[str] = "run.paused"
    run_id: str
    approvals: tuple[str, ...]
    """Ids of those that are waited for."""


class RunResumed(Struct, frozen=True):
    """The process that worked on the run is gone, and another one goes on. What was sent from the event with this
    number on belongs to a model call that had no end, and does not count: it is told anew."""

    name: ClassVar[str] = "run.resumed"
    discard_from: int


class RunFinished(Struct, frozen=True):
    name: ClassVar[str] = "run.finished"
    answer: Answer


class RunFailed(Struct, frozen=True):
    name: ClassVar[str] = "run.failed"
    error: AppError


Event = (
    RunStarted
    | Token
    | Reasoning
    | ToolStarted
    | ToolFinished
    | ModelSwitched
    | UsageReported
    | ApprovalRequired
    | RunPaused
    | RunResumed
    | RunFinished
    | RunFailed
)
