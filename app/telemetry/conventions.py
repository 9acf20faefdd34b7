"""Names of spans, their attributes and events: one table. What no table names is not exported; a test checks it.

Sources: OpenTelemetry's conventions for generative AI 0.1.0 (open-telemetry/semantic-conventions-genai, pages
client-inference.md, execute-tool.md, gen-ai-agent-spans.md and gen-ai-events.md), and for HTTP those of 1.45 that it
depends on (open-telemetry/semantic-conventions, http-spans.md). `cache_write` was `cache_creation` before 0.1.0, which
also calls a model call's metrics and events `gen_ai.client.inference.*`. Names that begin with `agent.` are ours.
"""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT_NAME: Final = "gen_ai.agent.name"
CONVERSATION_ID: Final = "gen_ai.conversation.id"
USER_ID: Final = "user.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
REQUEST_MAX_TOKENS: Final = "gen_ai.request.max_tokens"
REQUEST_STREAM: Final = "gen_ai.request.stream"
REQUEST_TEMPERATURE: Final = "gen_ai.request.temperature"
OUTPUT_TYPE: Final = "gen_ai.output.type"
RESPONSE_MODEL: Final = "gen_ai.response.model"
RESPONSE_ID: Final = "gen_ai.response.id"
"""Of an evaluation: the id of the run whose answer it is about."""
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
TIME_TO_FIRST_CHUNK: Final = "gen_ai.response.time_to_first_chunk"
"""Seconds."""

INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
"""Those read from and written to a provider's cache are among them."""
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
"""Reasoning is among them."""
CACHE_READ_TOKENS: Final = "gen_ai.usage.cache_read.input_tokens"
CACHE_WRITE_TOKENS: Final = "gen_ai.usage.cache_write.input_tokens"
REASONING_TOKENS: Final = "gen_ai.usage.reasoning.output_tokens"

TOOL_NAME: Final = "gen_ai.tool.name"
TOOL_TYPE: Final = "gen_ai.tool.type"
TOOL_CALL_ID: Final = "gen_ai.tool.call.id"
TOOL_ARGUMENTS: Final = "gen_ai.tool.call.arguments"
TOOL_RESULT: Final = "gen_ai.tool.call.result"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
SYSTEM_INSTRUCTIONS: Final = "gen_ai.system_instructions"

RUN_ID: Final = "agent.run.id"
COST_USD: Final = "agent.cost_usd"
INPUT_COST_USD: Final = "agent.cost.input_usd"
OUTPUT_COST_USD: Final = "agent.cost.output_usd"
UNCERTAIN: Final = "agent.usage.uncertain"
"""Some of the usage is an estimate: nobody counted it."""
ATTEMPTS: Final = "agent.attempts"
FINISH_REASON: Final = "agent.finish_reason"
FALLBACK_FROM: Final = "agent.fallback_from"
CACHED: Final = "agent.cached"
CACHE_AGE: Final = "agent.cache.age_seconds"
OUTCOME: Final = "agent.outcome"
ROUTE_TIER: Final = "agent.route.tier"
ROUTE_REASON: Final = "agent.route.reason"
ITERATION: Final = "agent.iteration.index"
TRACE_LATE: Final = "agent.trace.late"
"""Why a request that was not sampled is traced: `failed`, `fallback`, `dear`, `slow`."""
TRACE_LEFT_OUT: Final = "agent.trace.left_out"
"""How many spans of it are missing."""

ERROR_TYPE: Final = "error.type"
HTTP_METHOD: Final = "http.request.method"
HTTP_RESEND_COUNT: Final = "http.request.resend_count"
HTTP_STATUS: Final = "http.response.status_code"
HTTP_ROUTE: Final = "http.route"
SERVER_ADDRESS: Final = "server.address"
SERVER_PORT: Final = "server.port"
URL_FULL: Final = "url.full"
"""Without user, password, query and fragment."""

FIRST_CONTENT: Final = "agent.first_content"
CACHE_LOOKUP: Final = "agent.cache.lookup"
CACHE_RESULT: Final = "agent.cache.result"
GUARD_VERDICT: Final = "agent.guard.verdict"
GUARD_RULE: Final = "agent.guard.rule"
GUARD_CATEGORY: Final = "agent.guard.category"
MODEL_REFUSED: Final = "agent.model.refused"
"""A gate of this service kept the call from the model."""
REFUSED_REASON: Final = "agent.model.refused.reason"
EVALUATION: Final = "gen_ai.evaluation.result"
EVALUATION_NAME: Final = "gen_ai.evaluation.name"
EVALUATION_SCORE: Final = "gen_ai.evaluation.score.value"
EVALUATION_LABEL: Final = "gen_ai.evaluation.score.label"
EVALUATION_EXPLANATION: Final = "gen_ai.evaluation.explanation"

INVOKE_AGENT: Final = "invoke_agent"
ITERATION_SPAN: Final = "agent.iteration"
FEEDBACK: Final = "feedback"
"""What a user says of a run, in a span that links to the run's."""
CHAT: Final = "chat"
EMBEDDINGS: Final = "embeddings"
EXECUTE_TOOL: Final = "execute_tool"
SERVER: Final = "server"
CLIENT: Final = "client"


class Shape(Struct, frozen=True):
    """A kind of span: the attributes that each has, those that some have, its events with theirs."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    events: Mapping[str, frozenset[str]] = {}
    prefixes: tuple[str, ...] = ()
    """Of attributes that the operator asks OpenTelemetry's instrumentation for."""


_TOKENS = frozenset({INPUT_TOKENS, OUTPUT_TOKENS, CACHE_READ_TOKENS, CACHE_WRITE_TOKENS, REASONING_TOKENS})
_COST = frozenset({COST_USD, INPUT_COST_USD, OUTPUT_COST_USD, UNCERTAIN})
_MESSAGES = frozenset({INPUT_MESSAGES, OUTPUT_MESSAGES, SYSTEM_INSTRUCTIONS})
_EVALUATION = frozenset({EVALUATION_NAME, EVALUATION_SCORE, EVALUATION_LABEL, EVALUATION_EXPLANATION, RESPONSE_ID})

SHAPES: Mapping[str, Shape] = {
    SERVER: Shape(
        frozenset({HTTP_METHOD, "url.scheme", "url.path"}),
        frozenset({HTTP_ROUTE, HTTP_STATUS, ERROR_TYPE, SERVER_ADDRESS, SERVER_PORT})
        | {"client.address", "client.port", "network.peer.address", "network.peer.port", "network.protocol.version"}
        | {TRACE_LATE, TRACE_LEFT_OUT, "user_agent.original", "http.request.method_original"},
        prefixes=("http.request.header.", "http.response.header."),
    ),
    INVOKE_AGENT: Shape(
        frozenset({OPERATION, AGENT_NAME, CONVERSATION_ID, REQUEST_MODEL, USER_ID, RUN_ID, OUTCOME, CACHED})
        | {COST_USD, ATTEMPTS, INPUT_TOKENS, OUTPUT_TOKENS},
        frozenset({RESPONSE_MODEL, FINISH_REASON, FALLBACK_FROM, CACHE_AGE})
        | {
            ROUTE_TIER,
            ROUTE_REASON,
            ERROR_TYPE,
            UNCERTAIN,
            INPUT_MESSAGES,
            OUTPUT_MESSAGES,
            TRACE_LATE,
            TRACE_LEFT_OUT,
        },
        {
            CACHE_LOOKUP: frozenset({CACHE_RESULT}),
            EVALUATION: _EVALUATION,
            GUARD_VERDICT: frozenset({GUARD_RULE, GUARD_CATEGORY}),
        },
    ),
    ITERATION_SPAN: Shape(frozenset({ITERATION}), frozenset({ERROR_TYPE})),
    CHAT: Shape(
        frozenset({OPERATION, PROVIDER, REQUEST_MODEL, REQUEST_MAX_TOKENS, REQUEST_STREAM, ATTEMPTS}),
        frozenset({CONVERSATION_ID, REQUEST_TEMPERATURE, OUTPUT_TYPE, FINISH_REASONS, TIME_TO_FIRST_CHUNK, ERROR_TYPE})
        | (_TOKENS | _COST | _MESSAGES),
        {FIRST_CONTENT: frozenset(), MODEL_REFUSED: frozenset({REFUSED_REASON})},
    ),
    EMBEDDINGS: Shape(
        frozenset({OPERATION, PROVIDER, REQUEST_MODEL}),
        frozenset({INPUT_TOKENS, COST_USD, UNCERTAIN, ERROR_TYPE}),
    ),
    EXECUTE_TOOL: Shape(
        frozenset({OPERATION, TOOL_NAME, TOOL_CALL_ID, TOOL_TYPE}),
        frozenset({ERROR_TYPE, TOOL_ARGUMENTS, TOOL_RESULT}),
    ),
    FEEDBACK: Shape(frozenset({AGENT_NAME}), frozenset({ERROR_TYPE}), {EVALUATION: _EVALUATION}),
    CLIENT: Shape(
        frozenset({HTTP_METHOD, SERVER_ADDRESS, SERVER_PORT, URL_FULL}),
        frozenset({HTTP_STATUS, HTTP_RESEND_COUNT, ERROR_TYPE}),
    ),
}
"""By the operation's name, else by the span's; HTTP spans by their kind."""
