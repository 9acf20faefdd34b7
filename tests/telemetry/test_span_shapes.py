"""The shape of traces: one table of names, attempts inside of model calls, fallbacks that link to what they replace."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from app.telemetry.conventions import SHAPES
from tests.conftest import Serve
from tests.models.servers import Reply
from tests.service import Service
from tests.telemetry.collector import Collector, Span
from tests.telemetry.shapes import check, shape_of
from tests.upstream import Upstream, asks, refuses, says, says_whole

SECRET = "sk-proj-AbCd1234EfGh5678IjKl"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector, _upstream: Upstream) -> Iterator[Service]:
    service = Service(
        tmp_path_factory.mktemp("shapes"),
        models="openai/gpt-4o,openai/gpt-4o-mini",
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        model_retries=1,
        breaker=False,
        answer_cache=True,
        trace_content=True,
        anonymous_per_minute="off",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=50,
    )
    yield service
    service.may_log_errors = True  # of a provider that takes no key
    service.end()


def ask(traced: Service, collector: Collector, message: str, path: str = "/chat", **fields: Any) -> list[Span]:
    """The trace of a run, in the order of its spans' begins."""
    response = traced.client.post(path, json={"query": message, **fields})
    spans = collector.wait_for(response.headers["x-trace-id"], f"POST {path}")
    for span in spans:
        check(span)
    return spans


def named(spans: list[Span], *names: str) -> list[Span]:
    return [span for span in spans if span.name in names]


def json_of(span: Span, name: str) -> Any:
    return json.loads(span.attributes[name])


def test_a_retry_is_a_second_http_call_within_the_same_model_call(
    traced: Service, collector: Collector, upstream: Upstream
) -> None:
    upstream.will(refuses(500), says_whole("Hello"))
    spans = ask(traced, collector, "retried")
    [chat] = named(spans, "chat gpt-4o")
    first, second = named(spans, "POST")
    assert [first.parent_id, second.parent_id] == [chat.id, chat.id]
    assert not chat.failed
    assert (first.kind, first.failed, first.attributes["error.type"]) == ("client", True, "500")
    assert "http.request.resend_count" not in first.attributes
    assert second.attributes["http.request.resend_count"] == 1
    assert second.attributes["http.response.status_code"] == 200
    assert second.attributes["url.full"] == f"{upstream.url}/v1/chat/completions"
    assert chat.start <= first.start <= first.end <= second.start <= second.end <= chat.end
    told = [request.headers["traceparent"].split("-") for request in upstream.calls]
    assert [(trace, parent) for _, trace, parent, _ in told] == [(chat.trace_id, first.id), (chat.trace_id, second.id)]
    assert chat.attributes["agent.attempts"] == 2


def test_a_fallback_is_a_sibling_that_links_to_the_call_that_it_replaces(
    traced: Service, collector: Collector, upstream: Upstream
) -> None:
    upstream.will(refuses(401), says_whole("Hello"), asks(("clock", {})), says_whole("noon"))
    spans = ask(traced, collector, "with another model")
    [failed] = named(spans, "chat gpt-4o")
    [chat] = named(spans, "chat gpt-4o-mini")
    assert failed.parent_id == chat.parent_id
    assert (failed.failed, chat.failed) == (True, False)
    assert (failed.links, chat.links) == ([], [(chat.trace_id, failed.id)])
    [run] = named(spans, "invoke_agent default")
    assert run.attributes["agent.fallback_from"] == "openai/gpt-4o"
    calls = named(ask(traced, collector, "with none"), "chat gpt-4o")
    assert [call.links for call in calls] == [[], []]


def test_a_stream_tells_its_first_content(traced: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.will(says("Hel", "lo"))
    [chat] = named(ask(traced, collector, "streamed", "/chat/stream"), "chat gpt-4o")
    assert [name for name, _ in chat.events] == ["agent.first_content"]
    assert 0 < chat.attributes["gen_ai.response.time_to_first_chunk"] <= (chat.end - chat.start) / 1e9


def test_a_run_tells_what_the_cache_said_and_what_it_cost(
    traced: Service, collector: Collector, upstream: Upstream
) -> None:
    upstream.will(says_whole("Hello"))
    found = []
    for _ in range(2):
        [run] = named(ask(traced, collector, "twice the same"), "invoke_agent default")
        found += [attributes["agent.cache.result"] for name, attributes in run.events if name == "agent.cache.lookup"]
    assert found == ["miss", "hit"]
    assert run.attributes["agent.outcome"] == "ok"
    assert (run.attributes["agent.cached"], run.attributes["agent.cost_usd"]) == (True, 0.0)


def test_a_run_that_fails_tells_what_it_has_used(traced: Service, collector: Collector, upstream: Upstream) -> None:
    whole = says("Hel", "lo")
    upstream.will(Reply(whole.pieces[:2], headers=whole.headers, ending="cut"))
    spans = ask(traced, collector, "cut", "/chat/stream", model="openai/gpt-4o")
    [chat], [run] = named(spans, "chat gpt-4o"), named(spans, "invoke_agent default")
    assert chat.failed
    assert run.failed
    assert chat.attributes["agent.usage.uncertain"] is run.attributes["agent.usage.uncertain"] is True
    assert run.attributes["agent.outcome"] == "failed_model"
    for name in ("gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"):
        assert chat.attributes[name] == run.attributes[name] > 0


def test_what_is_said_is_in_the_conventions_json_and_without_secrets(
    traced: Service, collector: Collector, upstream: Upstream
) -> None:
    upstream.will(asks(("calculator", {"expression": "6*7"})), says_whole("42"))
    spans = ask(traced, collector, f"My key is {SECRET}; what is 6*7?")
    first, second = named(spans, "chat gpt-4o")
    [question] = json_of(first, "gen_ai.input.messages")
    assert question == {"role": "user", "parts": [{"type": "text", "content": "My key is …; what is 6*7?"}]}
    assert json_of(first, "gen_ai.system_instructions")[0]["type"] == "text"
    [wish] = json_of(first, "gen_ai.output.messages")
    assert [part["type"] for part in wish["parts"]] == ["tool_call"]
    assert [message["role"] for message in json_of(second, "gen_ai.input.messages")] == ["user", "assistant", "tool"]
    assert json_of(second, "gen_ai.output.messages")[0]["parts"] == [{"type": "text", "content": "42"}]
    [tool] = named(spans, "execute_tool calculator")
    assert json_of(tool, "gen_ai.tool.call.arguments") == {"expression": "6*7"}
    assert json_of(tool, "gen_ai.tool.call.result") == "42"
    assert SECRET not in repr(spans)


def test_feedback_links_to_the_run_that_it_is_about(traced: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.will(says_whole("Hello"))
    [run] = named(ask(traced, collector, "to be marked"), "invoke_agent default")
    response = traced.ask("POST", "/feedback", {"run_id": run.attributes["agent.run.id"], "completed": True})
    spans = collector.wait_for(response.headers["x-trace-id"], "POST /feedback")
    [feedback] = named(spans, "feedback")
    check(feedback)
    assert feedback.links == [(run.trace_id, run.id)]
    assert [name for name, _ in feedback.events] == ["gen_ai.evaluation.result"]


def test_dialects_that_are_asked_for_are_exported(serve: Serve, collector: Collector) -> None:
    service = serve(
        trace_dialects="langfuse,openinference",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=50,
    )
    spans = collector.wait_for(service.chat("hi").json()["trace_id"], "POST /chat")
    [chat] = named(spans, "chat demo")
    assert chat.attributes["langfuse.observation.type"] == "generation"
    assert chat.attributes["openinference.span.kind"] == "LLM"
    assert not any(name.startswith("gen_ai.") for span in spans for name in span.attributes)
    collector.spans[:] = [span for span in collector.spans if span not in spans]


def test_every_kind_of_span_but_of_embeddings_was_seen(collector: Collector) -> None:
    seen = [shape_of(span) for span in collector.spans]
    assert [kind for kind, shape in SHAPES.items() if shape not in seen] == ["embeddings"]
