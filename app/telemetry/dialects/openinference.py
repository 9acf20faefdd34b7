"""OpenInference, which Phoenix and Arize show: kind, model, tokens, cost, and content where spans have it.

Source: Arize-ai/openinference, spec/semantic_conventions.md and spec/genai/README.md. As in the GenAI conventions, the
prompt's tokens include those from a cache, which `prompt_details` are parts of.
"""

from collections.abc import Mapping
from typing import Final

from opentelemetry.util.types import AttributeValue

from app.telemetry import conventions

Attributes = Mapping[str, AttributeValue]

KIND: Final = "openinference.span.kind"

_KINDS = {
    conventions.INVOKE_AGENT: "AGENT",
    conventions.CHAT: "LLM",
    conventions.EMBEDDINGS: "EMBEDDING",
    conventions.EXECUTE_TOOL: "TOOL",
}
_NAMES = {
    conventions.CONVERSATION_ID: "session.id",
    conventions.TOOL_NAME: "tool.name",
    conventions.TOOL_CALL_ID: "tool.id",
}
_OF_MODEL = {
    conventions.PROVIDER: "llm.system",
    conventions.REQUEST_MODEL: "llm.model_name",
    conventions.INPUT_TOKENS: "llm.token_count.prompt",
    conventions.OUTPUT_TOKENS: "llm.token_count.completion",
    conventions.CACHE_READ_TOKENS: "llm.token_count.prompt_details.cache_read",
    conventions.CACHE_WRITE_TOKENS: "llm.token_count.prompt_details.cache_write",
    conventions.REASONING_TOKENS: "llm.token_count.completion_details.reasoning",
    conventions.INPUT_COST_USD: "llm.cost.prompt",
    conventions.OUTPUT_COST_USD: "llm.cost.completion",
    conventions.COST_USD: "llm.cost.total",
}
_OF_EMBEDDING = {**_OF_MODEL, conventions.REQUEST_MODEL: "embedding.model_name"}
_SPOKEN = {
    conventions.INPUT_MESSAGES: "input",
    conventions.OUTPUT_MESSAGES: "output",
    conventions.TOOL_ARGUMENTS: "input",
    conventions.TOOL_RESULT: "output",
}


def attributes(given: Attributes) -> Attributes:
    """What is added to a span; nothing to HTTP calls of other servers, which are no step of a run."""
    kind = _kind(given)
    if kind is None:
        return {}
    added: dict[str, AttributeValue] = {KIND: kind}
    named = _NAMES
    if kind in ("LLM", "EMBEDDING"):
        named = {**_NAMES, **(_OF_MODEL if kind == "LLM" else _OF_EMBEDDING)}
        added["llm.token_count.total"] = _total(given)
    for name, value in given.items():
        if name in named:
            added[named[name]] = value
        elif name in _SPOKEN:
            added[f"{_SPOKEN[name]}.value"] = value
            added[f"{_SPOKEN[name]}.mime_type"] = "application/json"
    return added


def _kind(given: Attributes) -> str | None:
    if conventions.OPERATION in given:
        return _KINDS.get(str(given[conventions.OPERATION]))
    return "CHAIN" if conventions.ITERATION in given or conventions.HTTP_ROUTE in given else None


def _total(given: Attributes) -> int:
    counts = (given.get(name, 0) for name in (conventions.INPUT_TOKENS, conventions.OUTPUT_TOKENS))
    return sum(count for count in counts if isinstance(count, int))
