"""Other tools' names for what spans say, each as one file shows it; and that nothing is counted twice."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.telemetry.dialects import translator
from app.telemetry.scrubbed_spans import ScrubbedExporter

GOLDEN = Path(__file__).parent / "golden"
MESSAGES = '[{"role":"user","parts":[{"type":"text","content":"6 * 7?"}]}]'
ANSWER = '[{"role":"assistant","parts":[{"type":"text","content":"42"}]}]'
USAGE = {
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read.input_tokens": 700,
    "gen_ai.usage.cache_write.input_tokens": 200,
    "gen_ai.usage.reasoning.output_tokens": 20,
}
COST = {"agent.cost_usd": 0.003, "agent.cost.input_usd": 0.001, "agent.cost.output_usd": 0.002}
SPANS: Mapping[str, Mapping[str, Any]] = {
    "POST /chat": {"http.request.method": "POST", "http.route": "/chat", "url.scheme": "http", "url.path": "/chat"},
    "invoke_agent default": {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "default",
        "gen_ai.request.model": "claude",
        "gen_ai.conversation.id": "s",
        "user.id": "ada",
        "gen_ai.usage.input_tokens": 1000,
        "gen_ai.usage.output_tokens": 50,
        "agent.cost_usd": 0.003,
        "gen_ai.input.messages": MESSAGES,
        "gen_ai.output.messages": ANSWER,
    },
    "agent.iteration": {"agent.iteration.index": 1},
    "chat claude": {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "anthropic",
        "gen_ai.request.model": "claude",
        "gen_ai.conversation.id": "s",
        **USAGE,
        **COST,
        "gen_ai.input.messages": MESSAGES,
        "gen_ai.output.messages": ANSWER,
    },
    "POST": {"http.request.method": "POST", "server.address": "vllm", "server.port": 80, "url.full": "http://vllm/v1"},
    "execute_tool calculator": {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "calculator",
        "gen_ai.tool.call.id": "1",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.call.arguments": '{"expression":"6 * 7"}',
        "gen_ai.tool.call.result": '"42"',
    },
    "embeddings small": {
        "gen_ai.operation.name": "embeddings",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "small",
        "gen_ai.usage.input_tokens": 8,
        "agent.cost_usd": 0.000001,
    },
}


def exported(*dialects: str) -> dict[str, dict[str, Any]]:
    memory = InMemorySpanExporter()
    exporter = ScrubbedExporter(memory, translator(dialects))
    exporter.export([ReadableSpan(name, attributes=attributes) for name, attributes in SPANS.items()])
    return {span.name: dict(span.attributes or {}) for span in memory.get_finished_spans()}


@pytest.mark.parametrize("dialect", ["openinference", "langfuse"])
def test_spans_of_a_dialect_are_as_its_file_has_them(dialect: str) -> None:
    assert exported(dialect) == json.loads((GOLDEN / f"{dialect}.json").read_text())


def test_opentelemetrys_own_names_are_alone_by_default() -> None:
    assert translator(("otel",)) is None
    assert exported("otel") == SPANS


def test_several_dialects_are_in_one_span_and_none_is_there_that_was_not_asked_for() -> None:
    spans = exported("otel", "openinference", "langfuse")
    for name, own in SPANS.items():
        alone = exported("openinference")[name] | exported("langfuse")[name]
        assert set(spans[name]) <= set(own) | set(alone)
        assert set(alone) <= set(spans[name])
    assert not any(name.startswith("gen_ai.") for span in exported("langfuse").values() for name in span)
    assert spans["chat claude"].items() >= SPANS["chat claude"].items()


def test_tokens_are_told_by_model_calls_alone() -> None:
    run = exported("otel", "openinference", "langfuse")["invoke_agent default"]
    assert not any("usage" in name or "token_count" in name or "model" in name for name in run)


counts = st.integers(0, 10**9)


@given(rest=counts, read=counts, written=counts, said=counts, thought=counts)
def test_langfuse_adds_up_to_what_was_used(rest: int, read: int, written: int, said: int, thought: int) -> None:
    translate = translator(["langfuse"])
    assert translate is not None
    span = translate(
        {
            **SPANS["chat claude"],
            "gen_ai.usage.input_tokens": rest + read + written,
            "gen_ai.usage.output_tokens": said + thought,
            "gen_ai.usage.cache_read.input_tokens": read,
            "gen_ai.usage.cache_write.input_tokens": written,
            "gen_ai.usage.reasoning.output_tokens": thought,
        }
    )
    usage = json.loads(str(span["langfuse.observation.usage_details"]))
    total = usage.pop("total")
    assert sum(usage.values()) == total == rest + read + written + said + thought
    assert sum(count for name, count in usage.items() if name.startswith("input")) == rest + read + written
