"""Finished runs as `/chat` and `/agent/run` show them."""

import msgspec
from msgspec import Struct

from app.messages import Usage
from app.runs.events import Answer, FinishReason, Suggestion, ToolCallRecord


class ChatAnswer(Struct, frozen=True):
    """A finished run as `/chat` shows it."""

    answer: str
    session_id: str
    message_id: str
    run_id: str
    """The same as `message_id`: a run makes one turn, which has its id."""
    sources: tuple[str, ...]
    model: str
    fallback_from: str | None
    """The model that was meant to answer, where another one did."""
    attempts: int
    """Calls of models, those that failed included."""
    finish_reason: FinishReason
    usage: Usage
    tokens_used: int
    cost_usd: float
    latency_ms: float
    cached: bool
    age_seconds: float | None
    """Since a cached answer was made; null where it is not cached."""
    degraded: tuple[str, ...]
    """Parts of the service that were away, such as `sessions`."""
    escalated: bool
    """The agent has asked a person to take over."""
    trace_id: str
    request_id: str


class AgentAnswer(ChatAnswer, frozen=True):
    """A finished run as `/agent/run` shows it: with an account of what it did."""

    tool_calls: tuple[ToolCallRecord, ...]
    iterations: int
    suggestions: tuple[Suggestion, ...]


def chat_answer(answer: Answer) -> ChatAnswer:
    return ChatAnswer(
        answer.answer,
        answer.session_id,
        answer.message_id,
        answer.run_id,
        answer.sources,
        answer.model,
        answer.fallback_from,
        answer.attempts,
        answer.finish_reason,
        answer.usage,
        answer.tokens_used,
        answer.cost_usd,
        answer.latency_ms,
        answer.cached,
        answer.age_seconds,
        answer.degraded,
        answer.escalated,
        answer.trace_id,
        answer.request_id,
    )


def agent_answer(answer: Answer) -> AgentAnswer:
    return msgspec.convert(answer, AgentAnswer, from_attributes=True)
