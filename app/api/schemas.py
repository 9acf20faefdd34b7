"""Answers of the routes beside runs: what is encoded, and so what the OpenAPI document says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from msgspec import Struct

from app.limits.usage import ModelUsage, Standing
from app.messages import ToolCall
from app.state.sessions import SessionSummary


@dataclass(frozen=True, slots=True)
class ToolDescription:
    name: str
    description: str
    parameters: dict[str, Any]
    """The JSON schema of the arguments."""
    risk: Literal["low", "medium", "high"]
    effect: Literal["read", "idempotent", "once"]
    """What a second call with the same arguments does."""


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    success: bool
    result: Any
    error: str | None


class SessionMessage(Struct, frozen=True, omit_defaults=True):
    role: Literal["user", "assistant", "tool"]
    content: str
    tool_calls: tuple[ToolCall, ...] = ()
    """Tool calls that the assistant asks for."""
    interrupted: bool = False
    """The assistant's answer was cut; the content is the part that was written."""
    tool_call_id: str | None = None
    """The call that a tool's message answers."""
    name: str | None = None
    """The tool's name."""
    is_error: bool = False
    """The tool failed, and the content says why."""


class SessionTurn(Struct, frozen=True):
    message_id: str
    created_at: float
    """Seconds since the epoch."""
    messages: tuple[SessionMessage, ...]


class SessionAnswer(Struct, frozen=True):
    session_id: str
    turns: tuple[SessionTurn, ...]


class SessionsAnswer(Struct, frozen=True):
    sessions: Sequence[SessionSummary]
    """Newest first."""
    next_before: float | None
    """The `before` of the next page; null after the last page."""


class FeedbackAnswer(Struct, frozen=True):
    """The marks that are kept of a run."""

    run_id: str
    completed: bool | None
    escalated: bool | None
    score: float | None
    comment: str | None


class UsageAnswer(Struct, frozen=True):
    usage: Sequence[ModelUsage]
    tokens: int
    cost_usd: float
    budgets: Sequence[Standing]


class Status(Struct, frozen=True):
    status: str


class ModelRest(Struct, frozen=True):
    reason: str
    until: float
    """Seconds since the epoch."""


class ModelHealth(Struct, frozen=True):
    status: Literal["unknown", "up", "down"]
    last_ok_seconds: float | None
    """Since its last sign of life."""
    reason: str | None
    breaker: Literal["closed", "half-open", "open"] | None
    """`open`: it kept failing and is not called; `half-open`: the next call tries it; null: there is no breaker."""
    resting: ModelRest | None
    """Its provider's limit is reached, and it is not called until then."""


class McpHealth(Struct, frozen=True):
    """An MCP server, and how many of its tools are `on`; the others cannot be called."""

    status: Literal["connecting", "ok", "away"]
    tools: Mapping[str, int]


class Checks(Struct, frozen=True, omit_defaults=True):
    api: Literal["ok"]
    redis: Literal["in-process", "unknown", "up", "down"]
    models: dict[str, ModelHealth]
    runs: Literal["in-process", "unknown", "durable", "volatile"]
    """What a restart of the store does to runs that are kept: `volatile`: it loses them."""
    redis_reason: str | None = None
    """The problem with the certificate of Redis, if there is one."""
    mcp: Mapping[str, McpHealth] | None = None
    """By server, where there are any."""


class Health(Struct, frozen=True, omit_defaults=True):
    status: Literal["ok", "degraded"]
    version: str
    uptime_seconds: float
    checks: Checks
    guards: Literal["ok", "failing"]
    """`failing`: one broke within the last minute; what it could not check was refused."""
    failing_guards: tuple[str, ...] = ()
    """Their names."""
