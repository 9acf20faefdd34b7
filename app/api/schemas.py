"""What the routes take and give, for validation and for the OpenAPI document."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from app.events import Answer
from app.limits.usage import ModelUsage, Standing

Id = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["ada"])]
Name = Annotated[str, Field(max_length=256)]

_STRICT = ConfigDict(extra="forbid", strict=True)


def _also_as_query(schema: dict[str, Any]) -> None:
    """Documents the other name of `message`, of which exactly one is to be given."""
    schema["properties"]["query"] = {**schema["properties"]["message"], "title": "Query"}
    schema["oneOf"] = [{"required": ["message"]}, {"required": ["query"]}]
    del schema["required"]


class ChatRequest(BaseModel):
    model_config = ConfigDict(**_STRICT, json_schema_extra=_also_as_query)

    message: str = Field(validation_alias=AliasChoices("message", "query"), min_length=1, examples=["What is 6 * 7?"])
    session_id: Id | None = Field(None, description="Continues a conversation; made up when left out")
    user_id: Id | None = None
    model: Name | None = Field(None, description="One of the service's models; the first when left out")
    agent: Name | None = None
    stream: bool = Field(False, description="Answer with server-sent events")


class AgentRunRequest(BaseModel):
    model_config = _STRICT

    query: str = Field(min_length=1, examples=["What is 6 * 7?"])
    session_id: Id | None = None
    user_id: Id | None = None
    max_iterations: int | None = Field(None, ge=1, le=100, description="Most model calls")
    max_cost_usd: float | None = Field(None, gt=0, allow_inf_nan=False, description="Cost that ends the run")
    tools: list[Name] | None = Field(None, max_length=100, description="The tools it may call; all when left out")
    suggestions: bool = Field(False, description="Also say how such a run could be cheaper or better")


class ToolCallBody(BaseModel):
    model_config = _STRICT

    arguments: dict[str, Any] = Field(default_factory=dict, examples=[{"expression": "6 * 7"}])


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
    status: Literal["ok", "error", "timeout"]
    latency_ms: float


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
    finish_reason: str
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
class SessionMessage:
    role: Literal["user", "assistant", "tool"]
    content: str


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
