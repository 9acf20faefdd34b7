"""Metrics: the names of the design, from the start, and nothing about anyone in their labels."""

import re

from prometheus_client.parser import text_string_to_metric_families

from tests.conftest import Failing
from tests.service import Service
from tests.upstream import Upstream, asks, refuses, says, says_whole

AT_ZERO = {
    "agent_active_requests",
    "agent_active_streams",
    "agent_overhead_seconds_count",
    'agent_time_to_first_token_seconds_count{model="demo"}',
    'agent_tokens_total{model="demo",type="input"}',
    'agent_tokens_total{model="demo",type="output"}',
    'agent_tokens_total{model="demo",type="cache_read"}',
    'agent_tokens_total{model="demo",type="cache_write"}',
    'agent_uncertain_tokens_total{model="demo",type="output"}',
    'agent_cost_usd_total{model="demo"}',
    'agent_model_requests_total{model="demo",outcome="ok"}',
    'agent_breaker_state{model="demo"}',
    'agent_model_calls_open{model="demo"}',
    'agent_model_queue_depth{model="demo"}',
    'agent_tool_calls_total{status="ok",tool="calculator"}',
    'agent_tool_calls_total{status="error",tool="clock"}',
    'agent_tool_calls_total{status="timeout",tool="clock"}',
    'agent_tool_latency_seconds_count{tool="clock"}',
    'agent_rate_limited_total{scope="user"}',
    'agent_rate_limited_total{scope="address"}',
    'agent_rate_limited_total{scope="refused"}',
    'agent_budget_used_ratio{scope="global"}',
}
LABELS = {
    "agent",
    "endpoint",
    "method",
    "status",
    "model",
    "type",
    "tool",
    "outcome",
    "scope",
    "dependency",
    "le",
    "reason",
    "result",
    "signal",
}


def test_every_known_series_is_there_at_zero_before_the_first_request(fresh_service: Service) -> None:
    metrics = fresh_service.metrics()
    assert metrics.keys() >= AT_ZERO
    assert {name: metrics[name] for name in AT_ZERO if metrics[name]} == {}


def test_a_run_is_counted(fresh_service: Service) -> None:
    before = fresh_service.metrics()
    body = fresh_service.ask("POST", "/chat/stream", {"message": "What is 6 * 7?"})
    assert body.status_code == 200
    after = fresh_service.metrics()

    def more(name: str) -> float:
        return after[name] - before.get(name, 0)

    assert more('agent_requests_total{endpoint="/chat/stream",method="POST",outcome="ok",status="200"}') == 1
    assert more('agent_request_latency_seconds_count{endpoint="/chat/stream"}') == 1
    assert more('agent_model_requests_total{model="demo",outcome="ok"}') == 2
    assert more('agent_tool_calls_total{status="ok",tool="calculator"}') == 1
    assert more('agent_time_to_first_token_seconds_count{model="demo"}') == 1
    assert more('agent_tokens_total{model="demo",type="input"}') > 0
    assert more("agent_overhead_seconds_count") == 1
    assert more("agent_overhead_seconds_sum") < 5
    assert after["agent_active_requests"] == after["agent_active_streams"] == 0
    assert after['agent_dependency_up{dependency="demo"}'] == 1


def test_latencies_are_told_apart_up_to_five_minutes(fresh_service: Service) -> None:
    fresh_service.chat("hi")
    bounds = [
        float(bound[1])
        for name in fresh_service.metrics()
        if (bound := re.fullmatch(r'agent_request_latency_seconds_bucket\{endpoint="/chat",le="([\d.]+)"\}', name))
    ]
    assert max(bounds) == 300


def test_gauges_show_what_is_open(relay: Service, upstream: Upstream) -> None:
    whole = says("Hel", "lo")
    upstream.will(whole.with_pieces(whole.pieces[:2]).ending_with("silent"))
    with relay.client.stream("POST", "/chat/stream", json={"message": "hi"}) as response:
        arriving = response.iter_raw()  # its end would close the connection
        next(arriving)
        metrics = relay.metrics()
        assert metrics["agent_active_requests"] == metrics["agent_active_streams"] == 1


def test_failed_calls_are_counted_by_their_outcome(failing: Failing, upstream: Upstream) -> None:
    for reply, outcome in ((refuses(429), "rate_limited"), (refuses(500), "server_error"), (refuses(401), "auth")):
        upstream.will(reply)
        failing.chat("hi")
        counted = f'agent_model_requests_total{{model="{failing.used}",outcome="{outcome}"}}'
        assert failing.service.metrics()[counted] == 1


def test_labels_hold_nothing_that_a_caller_chose(relay: Service, upstream: Upstream) -> None:
    marks = ["Marked-user", "Marked-session", "Marked-path", "MARKEDMETHOD", "marked_tool", "Marked-text", "marked-id"]
    upstream.will(asks(("marked_tool", {})), says_whole("Marked-text"))
    relay.chat("Marked-text", user_id="Marked-user", session_id="Marked-session")
    relay.ask("GET", "/sessions/Marked-session", x_request_id="marked-id")
    relay.ask("GET", "/Marked-path")
    relay.ask("POST", "/api/tools/marked_tool", {})
    relay.ask("MARKEDMETHOD", "/chat")
    relay.chat("hi", model="Marked-model")
    text = relay.client.get(relay.metrics_url).text
    assert not [mark for mark in marks if mark in text]
    families = [family for family in text_string_to_metric_families(text) if family.name.startswith("agent_")]
    assert {label for family in families for sample in family.samples for label in sample.labels} <= LABELS


def test_unknown_paths_are_one_series(demo: Service) -> None:
    for index in range(5):
        demo.ask("GET", f"/unknown-{index}")
    metrics = demo.metrics()
    assert metrics['agent_requests_total{endpoint="none",method="GET",outcome="",status="404"}'] >= 5
    assert not [name for name in metrics if "unknown-" in name]


def test_the_metrics_are_what_prometheus_reads(demo: Service) -> None:
    response = demo.client.get(demo.metrics_url)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    families = {family.name for family in text_string_to_metric_families(response.text)}
    assert {"process_resident_memory_bytes", "agent_requests", "agent_overhead_seconds"} <= families
