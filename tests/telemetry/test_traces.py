"""Traces: what a collector gets, which requests are sampled, and what happens when there is no collector."""

import time
from collections.abc import Iterator
from uuid import uuid4

import pytest

from app.settings import load
from app.telemetry import traces
from tests.conftest import Serve
from tests.redis_server import free_port
from tests.service import Service
from tests.telemetry.collector import Collector, Span
from tests.upstream import MODEL, Upstream, asks, refuses, says_whole


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory, collector: Collector, _upstream: Upstream) -> Iterator[Service]:
    """Every request is sampled."""
    service = Service(
        tmp_path_factory.mktemp("traced"),
        models=f"demo,{MODEL}",
        openai_base_url=f"{_upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        unknown_price="allow",
        trusted_proxies="127.0.0.1",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
    )
    yield service
    service.end()


def tree(spans: list[Span], parent: str = "") -> list[object]:
    """Names, each with its children after it."""
    found: list[object] = []
    for span in spans:
        if span.parent_id == parent:
            children = tree(spans, span.id)
            found += [span.name, children] if children else [span.name]
    return found


def one(spans: list[Span], name: str) -> Span:
    [span] = [span for span in spans if span.name == name]
    return span


def test_a_run_is_a_tree_of_its_calls(traced: Service, collector: Collector) -> None:
    response = traced.chat("What is 6 * 7, and what time is it in Paris?")
    spans = collector.wait_for(response.json()["trace_id"], "POST /chat")
    assert tree(spans) == [
        "POST /chat",
        [
            "invoke_agent default",
            [
                "agent.iteration",
                ["chat demo", "execute_tool calculator", "execute_tool clock"],
                "agent.iteration",
                ["chat demo"],
            ],
        ],
    ]
    for span in spans:
        assert span.start <= span.end
        assert not span.failed


@pytest.mark.parametrize("path", ["/chat/stream", "/agent/run"])
def test_every_kind_of_run_is_traced(traced: Service, collector: Collector, path: str) -> None:
    response = traced.ask("POST", path, {"query": "6 * 7"})
    spans = collector.wait_for(response.headers["x-trace-id"], f"POST {path}")
    names = [span.name for span in spans]
    assert names[:2] == [f"POST {path}", "invoke_agent default"]
    assert names.count("agent.iteration") == 2


def test_spans_have_the_conventional_attributes(traced: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.will(asks(("calculator", {"expression": "6*7"})), says_whole("42"))
    body = traced.chat("secret question", model=MODEL, session_id="traced").json()
    spans = collector.wait_for(body["trace_id"], "POST /chat")
    run = one(spans, "invoke_agent default").attributes
    assert run["gen_ai.operation.name"] == "invoke_agent"
    assert run["gen_ai.agent.name"] == "default"
    assert run["gen_ai.conversation.id"] == "traced"
    assert run["gen_ai.usage.input_tokens"] == body["usage"]["input_tokens"]
    assert run["gen_ai.usage.output_tokens"] == body["usage"]["output_tokens"]
    first, second = (span for span in spans if span.name == "chat gpt-4o")
    assert first.kind == "client"
    assert first.attributes["gen_ai.operation.name"] == "chat"
    assert first.attributes["gen_ai.provider.name"] == "openai"
    assert first.attributes["gen_ai.request.model"] == "gpt-4o"
    assert first.attributes["gen_ai.usage.input_tokens"] == 25
    assert second.attributes["gen_ai.usage.output_tokens"] == 15
    assert second.attributes["gen_ai.response.finish_reasons"] == ["stop"]
    tool = one(spans, "execute_tool calculator").attributes
    assert tool["gen_ai.operation.name"] == "execute_tool"
    assert tool["gen_ai.tool.name"] == "calculator"
    assert tool["gen_ai.tool.call.id"] == "call_0"
    iterations = [span.attributes["agent.iteration.index"] for span in spans if span.name == "agent.iteration"]
    assert iterations == [1, 2]
    assert one(spans, "POST /chat").kind == "server"
    resource = spans[0].resource
    assert resource["service.name"] == "agent-api"
    assert resource["service.version"]
    everything = repr(spans)
    assert "secret question" not in everything
    assert "sk-of-the-service" not in everything


@pytest.mark.parametrize("path", ["/usage?key=sk-of-the-user", "/nowhere?sk-of-the-user", "/chat?a=b&sk-of-the-user"])
def test_no_span_has_a_query(traced: Service, collector: Collector, path: str) -> None:
    response = traced.client.get(path)
    root = "GET" if path.startswith("/nowhere") else f"GET {path.partition('?')[0]}"
    spans = collector.wait_for(response.headers["x-trace-id"], root)
    assert "sk-of-the-user" not in repr(spans)
    assert "?" not in repr(spans)


def test_the_query_is_still_there_for_the_route(traced: Service) -> None:
    assert traced.client.get("/usage?days=1").status_code == 200


def test_a_failed_call_is_marked_and_so_is_its_run(traced: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.will(refuses(500))
    response = traced.chat("hi", model=MODEL)
    assert response.status_code == 503
    spans = collector.wait_for(response.headers["x-trace-id"], "POST /chat")
    for name in ("chat gpt-4o", "invoke_agent default"):
        assert one(spans, name).failed
        assert one(spans, name).attributes["error.type"]
    assert "words of the provider" not in repr(spans)


def test_a_trace_goes_on_where_a_trusted_proxy_began_it(traced: Service, collector: Collector) -> None:
    trace_id, parent = uuid4().hex, "00f067aa0ba902b7"
    response = traced.ask("POST", "/chat", {"message": "hi"}, traceparent=f"00-{trace_id}-{parent}-01")
    assert response.json()["trace_id"] == trace_id
    spans = collector.wait_for(trace_id, "POST /chat")
    assert one(spans, "POST /chat").parent_id == parent


def test_a_trusted_proxy_that_does_not_sample_gets_no_spans(traced: Service, collector: Collector) -> None:
    trace_id = uuid4().hex
    traced.ask("POST", "/chat", {"message": "hi"}, traceparent=f"00-{trace_id}-00f067aa0ba902b7-00")
    later = traced.chat("hi").json()["trace_id"]
    collector.wait_for(later, "POST /chat")
    assert not collector.of(trace_id)


def test_what_another_caller_says_of_its_trace_is_a_link(serve: Serve, collector: Collector) -> None:
    service = serve(otel_exporter_otlp_endpoint=collector.endpoint, otel_bsp_schedule_delay=100)
    trace_id, parent = uuid4().hex, "00f067aa0ba902b7"
    for flags in ("00", "01"):
        response = service.ask("POST", "/chat", {"message": "hi"}, traceparent=f"00-{trace_id}-{parent}-{flags}")
        assert response.json()["trace_id"] != trace_id
        root = one(collector.wait_for(response.json()["trace_id"], "POST /chat"), "POST /chat")
        assert (root.parent_id, root.links) == ("", [(trace_id, parent)])
    plain = one(collector.wait_for(service.chat("hi").json()["trace_id"], "POST /chat"), "POST /chat")
    assert plain.links == []


def test_probes_are_not_traced(traced: Service, collector: Collector) -> None:
    trace_id = uuid4().hex
    for path in ("/live", "/ready", "/health"):
        traced.ask("GET", path, traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    later = traced.chat("hi").json()["trace_id"]
    collector.wait_for(later, "POST /chat")
    assert not collector.of(trace_id)


def test_traced_requests_are_counted_and_logged_like_others(traced: Service) -> None:
    series = 'agent_requests_total{endpoint="/chat",method="POST",outcome="",status="422"}'
    before = traced.metrics().get(series, 0)
    response = traced.chat("")
    assert (response.status_code, response.headers["content-type"]) == (422, "application/problem+json")
    assert traced.metrics()[series] == before + 1
    line = traced.wait_for_event("request", request_id=response.headers["x-request-id"])
    assert line["trace_id"] == response.headers["x-trace-id"]


def test_the_share_that_is_sampled_is_the_same_for_the_same_trace(serve: Serve, collector: Collector) -> None:
    service = serve(
        otel_exporter_otlp_endpoint=collector.endpoint,
        trusted_proxies="127.0.0.1",
        otel_traces_sampler="traceidratio",
        otel_traces_sampler_arg=0.25,
        otel_bsp_schedule_delay=100,
    )
    given = [uuid4().hex for _ in range(40)]
    for _ in range(2):
        for trace_id in given:
            service.ask("GET", "/api/tools", traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")
    made = [service.ask("GET", "/api/tools").headers["x-trace-id"] for _ in range(200)]
    service.end()
    for trace_id in given:
        sampled = int(trace_id[16:], 16) < 0.25 * 2**64
        assert len(collector.of(trace_id)) == (2 if sampled else 0)
    assert 20 < sum(bool(collector.of(trace_id)) for trace_id in made) < 80


def test_what_is_not_yet_exported_is_at_the_end(serve: Serve, collector: Collector) -> None:
    service = serve(otel_exporter_otlp_endpoint=collector.endpoint, otel_bsp_schedule_delay=60_000)
    trace_id = service.chat("hi").json()["trace_id"]
    assert not collector.of(trace_id)
    service.end()
    assert "invoke_agent default" in [span.name for span in collector.of(trace_id)]


def test_a_collector_that_is_away_delays_neither_answers_nor_the_end(serve: Serve) -> None:
    service = serve(otel_exporter_otlp_endpoint=f"http://127.0.0.1:{free_port()}", otel_bsp_schedule_delay=100)
    service.may_log_errors = True  # the exporter's own words
    started = time.monotonic()
    for _ in range(20):
        assert service.chat("hi").status_code == 200
    assert time.monotonic() - started < 10
    started = time.monotonic()
    service.end()
    assert time.monotonic() - started < 8


@pytest.mark.parametrize(
    "switch", [{"OTEL_SDK_DISABLED": "true"}, {"OTEL_TRACES_EXPORTER": "none"}, {"OTEL_EXPORTER_OTLP_ENDPOINT": ""}]
)
def test_tracing_can_be_switched_off(monkeypatch: pytest.MonkeyPatch, switch: dict[str, str]) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")
    for name, value in switch.items():
        monkeypatch.setenv(name, value)
    tracing = traces.configure(load(None))
    assert not tracing.on
    trace_id, sampled = tracing.decide(f"00-{'a' * 32}-{'b' * 16}-01")
    assert (trace_id, sampled) == ("a" * 32, False)
