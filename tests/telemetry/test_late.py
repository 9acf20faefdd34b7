"""Late sampling: an unsampled run that turns out to be worth it is traced as if it had been sampled."""

import json
from collections.abc import Iterator
from dataclasses import replace
from uuid import uuid4

import pytest

from tests.conftest import Serve
from tests.service import Service
from tests.telemetry.collector import Collector, Span
from tests.telemetry.test_traces import one, tree
from tests.upstream import MODEL, Upstream, asks, refuses, says, says_whole

SPARE = "openai/gpt-4o-mini"
ODD = frozenset({"agent.trace.late", "agent.trace.left_out"})
ADDRESS = frozenset({"client.port", "server.port", "server.address"})


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as collector:
        yield collector


def _settings(collector: Collector, upstream: Upstream, **others: object) -> dict[str, object]:
    prices = {"input": 1_000, "output": 1_000}  # dollars for a million tokens
    return {
        "models": f"{MODEL},{SPARE}",
        "model_options": json.dumps({ref: {"price": prices} for ref in (MODEL, SPARE)}),
        "openai_base_url": f"{upstream.url}/v1",
        "openai_api_key": "sk-of-the-service",
        "model_retries": 0,
        "breaker": False,
        "budget_anonymous_share": "off",
        "budget_user_day_usd": 10_000,
        "budget_global_day_usd": 10_000,
        "max_cost_usd": 100,
        "otel_exporter_otlp_endpoint": collector.endpoint,
        "otel_bsp_schedule_delay": 50,
        **others,
    }


@pytest.fixture(scope="module")
def late(tmp_path_factory: pytest.TempPathFactory, collector: Collector, _upstream: Upstream) -> Iterator[Service]:
    """No request is sampled by itself."""
    service = Service(
        tmp_path_factory.mktemp("late"),
        **_settings(collector, _upstream, otel_traces_sampler="always_off", trace_dear_usd=0.2, trace_slow_seconds=1.5),
    )
    service.may_log_errors = True
    yield service
    service.end()


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory, collector: Collector, _upstream: Upstream) -> Iterator[Service]:
    service = Service(tmp_path_factory.mktemp("sampled"), **_settings(collector, _upstream))
    service.may_log_errors = True
    yield service
    service.end()


def _shape(spans: list[Span]) -> list[object]:
    """What a late trace has to have in common with a sampled one: everything but ids and times."""
    return [
        (
            span.name,
            span.kind,
            span.failed,
            {
                name: value
                for name, value in span.attributes.items()
                if name not in ODD | ADDRESS | {"agent.cost_usd", "agent.run.id", "gen_ai.response.time_to_first_chunk"}
            },
            span.resource.keys(),
            [name for name, _ in span.events],
            len(span.links),
        )
        for span in spans
    ]


def _check_order(spans: list[Span]) -> None:
    by_id = {span.id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert span.start <= span.end
        if span.parent_id:
            parent = by_id[span.parent_id]
            assert parent.start <= span.start
            assert span.end <= parent.end


def test_a_failed_run_is_traced_as_if_it_had_been_sampled(
    late: Service, sampled: Service, collector: Collector, upstream: Upstream
) -> None:
    found = []
    for service in (late, sampled):
        upstream.reset(asks(("calculator", {"expression": "6*7"})), refuses(500))
        response = service.chat("What is 6 * 7?", model=MODEL, session_id="of-both")
        assert response.status_code == 503
        spans = collector.wait_for(response.headers["x-trace-id"], "POST /chat")
        _check_order(spans)
        found.append(spans)
    assert tree(found[0]) == tree(found[1])
    assert _shape(found[0]) == _shape(found[1])
    assert one(found[0], "POST /chat").attributes["agent.trace.late"] == "failed"


def test_a_stream_that_fails_after_its_head_is_a_failed_run(
    late: Service, collector: Collector, upstream: Upstream
) -> None:
    upstream.reset(replace(says("One", " two", " three"), pieces=says("One", " two").pieces[:2], ending="cut"))
    response = late.ask("POST", "/chat/stream", {"message": "Count.", "model": MODEL})
    assert response.status_code == 200
    root = one(collector.wait_for(response.headers["x-trace-id"], "POST /chat/stream"), "POST /chat/stream")
    assert root.attributes["agent.trace.late"] == "failed"
    assert root.attributes["http.response.status_code"] == 200


def test_a_run_that_changes_its_model_is_traced(late: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.reset(refuses(500), says_whole("42"))
    answer = late.chat("hi").json()
    assert answer["fallback_from"] == MODEL
    spans = collector.wait_for(answer["trace_id"], "POST /chat")
    assert one(spans, "POST /chat").attributes["agent.trace.late"] == "fallback"
    assert [span.failed for span in spans if span.name.startswith("chat ")] == [True, False]
    _check_order(spans)


def test_a_dear_run_is_traced_and_a_cheap_one_is_not(late: Service, collector: Collector, upstream: Upstream) -> None:
    upstream.reset(says_whole("42"), *[asks(("calculator", {"expression": "6*7"}))] * 5, says_whole("42"))
    cheap = late.chat("hi", model=MODEL).json()
    dear = late.chat("hi", model=MODEL).json()
    assert cheap["cost_usd"] < 0.2 <= dear["cost_usd"]
    spans = collector.wait_for(dear["trace_id"], "POST /chat")
    assert one(spans, "POST /chat").attributes["agent.trace.late"] == "dear"
    assert not collector.of(cheap["trace_id"])


def test_a_slow_run_is_traced(late: Service, collector: Collector, upstream: Upstream) -> None:
    pieces = says("One", " two").pieces
    upstream.reset(replace(says(), pieces=pieces, pause=3 / (len(pieces) - 1)))
    response = late.ask("POST", "/chat/stream", {"message": "Count.", "model": MODEL})
    spans = collector.wait_for(response.headers["x-trace-id"], "POST /chat/stream")
    assert one(spans, "POST /chat/stream").attributes["agent.trace.late"] == "slow"


def test_a_caller_that_does_not_sample_is_linked(late: Service, collector: Collector, upstream: Upstream) -> None:
    """A gateway that samples one request of a hundred says so of all the others."""
    trace_id, parent = uuid4().hex, "00f067aa0ba902b7"
    upstream.reset(refuses(500))
    response = late.ask("POST", "/chat", {"message": "hi", "model": MODEL}, traceparent=f"00-{trace_id}-{parent}-00")
    root = one(collector.wait_for(response.headers["x-trace-id"], "POST /chat"), "POST /chat")
    assert (root.parent_id, root.links) == ("", [(trace_id, parent)])


def test_what_is_no_run_is_not_traced_late(late: Service, collector: Collector, upstream: Upstream) -> None:
    refused = late.chat("").headers["x-trace-id"]
    usage = late.client.get("/usage").headers["x-trace-id"]
    upstream.reset(refuses(500))
    failed = late.chat("hi", model=MODEL).headers["x-trace-id"]
    collector.wait_for(failed, "POST /chat")
    assert not collector.of(refused)
    assert not collector.of(usage)


def test_late_sampling_can_be_switched_off(serve: Serve, collector: Collector, upstream: Upstream) -> None:
    service = serve(**_settings(collector, upstream, otel_traces_sampler="always_off", trace_late=False))
    upstream.reset(refuses(500))
    trace_id = service.chat("hi", model=MODEL).headers["x-trace-id"]
    service.may_log_errors = True
    service.end()
    assert not collector.of(trace_id)
    assert service.log("traces.end")[0]["made"] == 0
