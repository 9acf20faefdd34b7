"""What the routes give, for the OpenAPI document."""

from dataclasses import dataclass
from typing import Any, Literal

from app.limits.usage import ModelUsage, Standing
from app.runs.events import Answer, FinishReason
from app.tools.result import ToolStatus


@dataclass(frozen=True, slots=True)
class Usage:
    input_tokens: int
    """Includes those read from and written to the provider's cache."""
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int


@dataclass(frozen=True, slots=True)
class ToolCallAnswer:
    name: str
    arguments: dict[str, Any]
    status: ToolStatus
    latency_ms: float
    result: str | None
    """What the tool returned, cut to a bound; null after a failure."""
    error: str | None
    """Why it failed, as the model was told."""


@dataclass(frozen=True, slots=True)
class SuggestionAnswer:
    kind: str
    """A fixed word, such as `cheaper-model`."""
    detail: str


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    answer: str
    session_id: str
    message_id: str
    sources: tuple[str, ...]
    model: str
    finish_reason: FinishReason
    usage: Usage
    tokens_used: int
    cost_usd: float
    latency_ms: float
    cached: bool
    degraded: tuple[str, ...]
    """What the service had to do without, such as `sessions`."""
    trace_id: str
    request_id: str


@dataclass(frozen=True, slots=True)
class AgentAnswer(ChatAnswer):
    tool_calls: tuple[ToolCallAnswer, ...]
    iterations: int
    suggestions: tuple[SuggestionAnswer, ...]


@dataclass(frozen=True, slots=True)
class ToolDescription:
    name: str
    description: str
    parameters: dict[str, Any]
    """The JSON schema of the arguments."""
    risk: Literal["low", "medium", "high"]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    success: bool
    result: Any
    error: str | None


@dataclass(frozen=True, slots=True)
class SessionToolCall:
    id: str
    name: str
    arguments: dict[str, Any]
    malformed: str = ""
    """What the model wrote where that was no JSON object."""


@dataclass(frozen=True, slots=True)
class SessionMessage:
    role: Literal["user", "assistant", "tool"]
    content: str
    tool_calls: tuple[SessionToolCall, ...] = ()
    """Of the assistant: what it wants to have called."""
    interrupted: bool = False
    """Of the assistant: the answer was cut; the content is what there was."""
    tool_call_id: str | None = None
    """Of a tool: the call that this answers."""
    name: str | None = None
    """Of a tool: its name."""
    is_error: bool = False
    """Of a tool: the content is why it failed."""


@dataclass(frozen=True, slots=True)
class SessionTurn:
    message_id: str
    created_at: float
    """Seconds since the epoch."""
    messages: tuple[SessionMessage, ...]


@dataclass(frozen=True, slots=True)
class SessionAnswer:
    session_id: str
    turns: tuple[SessionTurn, ...]


@dataclass(frozen=True, slots=True)
class SessionSummary:
    session_id: str
    updated_at: float
    """Seconds since the epoch."""
    turns: int


@dataclass(frozen=True, slots=True)
class SessionsAnswer:
    sessions: tuple[SessionSummary, ...]
    """Newest first."""
    next_before: float | None
    """What to ask for as `before` to get the next page; null after the last one."""


@dataclass(frozen=True, slots=True)
class UsageAnswer:
    usage: tuple[ModelUsage, ...]
    tokens: int
    cost_usd: float
    budgets: tuple[Standing, ...]


@dataclass(frozen=True, slots=True)
class Status:
    status: str


@dataclass(frozen=True, slots=True)
class ModelHealth:
    status: Literal["unknown", "up", "down"]
    last_ok_seconds: float | None
    """Since its last sign of life."""
    reason: str | None


@dataclass(frozen=True, slots=True)
class Checks:
    api: Literal["ok"]
    redis: Literal["in-process", "unknown", "up", "down"]
    models: dict[str, ModelHealth]
    redis_reason: str | None = None
    """What is wrong with the certificate of Redis; left out where nothing is."""


@dataclass(frozen=True, slots=True)
class Health:
    status: Literal["ok", "degraded"]
    version: str
    uptime_seconds: float
    checks: Checks


def chat_answer(answer: Answer) -> dict[str, Any]:
    """A finished run as `/chat` shows it."""
    return {
        "answer": answer.answer,
        "session_id": answer.session_id,
        "message_id": answer.message_id,
        "sources": answer.sources,
        "model": answer.model,
        "finish_reason": answer.finish_reason,
        "usage": answer.usage,
        "tokens_used": answer.tokens_used,
        "cost_usd": answer.cost_usd,
        "latency_ms": answer.latency_ms,
        "cached": answer.cached,
        "degraded": answer.degraded,
        "trace_id": answer.trace_id,
        "request_id": answer.request_id,
    }


def agent_answer(answer: Answer) -> dict[str, Any]:
    """A finished run as `/agent/run` shows it."""
    return {
        **chat_answer(answer),
        "tool_calls": answer.tool_calls,
        "iterations": answer.iterations,
        "suggestions": answer.suggestions,
    }
