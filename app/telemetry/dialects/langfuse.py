"""Langfuse: type, model, tokens, cost, session and user of its observations, and content where spans have it.

Source: langfuse/langfuse, packages/shared/src/server/otel (attributes.ts, ObservationTypeMapper.ts). It adds up all
that `usage_details` names `input…`, so the input there is what came from no cache and went into none.
"""

from collections.abc import Mapping
from typing import Final

import msgspec
from opentelemetry.util.types import AttributeValue

from app.telemetry import conventions

Attributes = Mapping[str, AttributeValue]

_OBSERVATION: Final = "langfuse.observation."
_TYPES = {
    conventions.INVOKE_AGENT: "agent",
    conventions.CHAT: "generation",
    conventions.EMBEDDINGS: "embedding",
    conventions.EXECUTE_TOOL: "tool",
}
_NAMES = {
    conventions.CONVERSATION_ID: "session.id",
    conventions.INPUT_MESSAGES: f"{_OBSERVATION}input",
    conventions.OUTPUT_MESSAGES: f"{_OBSERVATION}output",
    conventions.TOOL_ARGUMENTS: f"{_OBSERVATION}input",
    conventions.TOOL_RESULT: f"{_OBSERVATION}output",
}
_COSTS = {
    conventions.INPUT_COST_USD: "input",
    conventions.OUTPUT_COST_USD: "output",
    conventions.COST_USD: "total",
}
_OF_TRACE = {conventions.INPUT_MESSAGES: "langfuse.trace.input", conventions.OUTPUT_MESSAGES: "langfuse.trace.output"}


def attributes(given: Attributes) -> Attributes:
    """What is added to a span."""
    operation = str(given.get(conventions.OPERATION, ""))
    added: dict[str, AttributeValue] = {f"{_OBSERVATION}type": _type(operation, given)}
    added.update({_NAMES[name]: value for name, value in given.items() if name in _NAMES})
    if operation in (conventions.CHAT, conventions.EMBEDDINGS):
        added[f"{_OBSERVATION}model.name"] = given[conventions.REQUEST_MODEL]
        added[f"{_OBSERVATION}usage_details"] = _json(_usage(given))
        added[f"{_OBSERVATION}cost_details"] = _json({_COSTS[name]: given[name] for name in _COSTS if name in given})
    elif operation == conventions.INVOKE_AGENT:
        added["langfuse.trace.name"] = given[conventions.AGENT_NAME]
        added.update({_OF_TRACE[name]: value for name, value in given.items() if name in _OF_TRACE})
    return added


def _type(operation: str, given: Attributes) -> str:
    return _TYPES.get(operation, "chain" if conventions.ITERATION in given else "span")


def _usage(given: Attributes) -> Mapping[str, int]:
    read, written = _count(given, conventions.CACHE_READ_TOKENS), _count(given, conventions.CACHE_WRITE_TOKENS)
    reasoned = _count(given, conventions.REASONING_TOKENS)
    told, said = _count(given, conventions.INPUT_TOKENS), _count(given, conventions.OUTPUT_TOKENS)
    usage = {"input": max(told - read - written, 0), "output": max(said - reasoned, 0), "total": told + said}
    parts = {"input_cached_tokens": read, "input_cache_creation": written, "output_reasoning_tokens": reasoned}
    return usage | {name: count for name, count in parts.items() if count}


def _count(given: Attributes, name: str) -> int:
    count = given.get(name, 0)
    return count if isinstance(count, int) else 0


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
