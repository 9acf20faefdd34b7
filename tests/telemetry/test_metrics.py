"""Metrics: the names of the design, from the start, and nothing about anyone in their labels."""

import re
import time
from pathlib import Path
from typing import get_args

from prometheus_client.parser import text_string_to_metric_families

from app.limits.budgets import BudgetScope
from app.limits.tiers import Scope
from app.models.failure_table import ATTEMPTED, GATES
from app.runs.outcome import OUTCOMES
from app.tools.result import ToolStatus
from tests.conftest import Failing, Serve
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
    'agent_tool_calls_total{status="error",tool="unknown"}',
    'agent_time_per_output_token_seconds_count{model="demo"}',
    'agent_run_context_ratio_count{model="demo"}',
    'agent_unknown_price_calls_total{model="demo"}',
    'agent_run_latency_seconds_count{agent="default"}',
    'agent_run_cost_usd_count{agent="default"}',
    'agent_feedback_total{agent="default",completed="false"}',
    'agent_escalations_total{agent="default",source="tool"}',
    'agent_telemetry_dropped_total{reason="queue_full",signal="traces"}',
    'agent_telemetry_exported_total{signal="traces"}',
    'agent_tool_latency_seconds_count{tool="clock"}',
    'agent_rate_limited_total{scope="user"}',
    'agent_rate_limited_total{scope="address"}',
    'agent_rate_limited_total{scope="refused"}',
    'agent_budget_used_ratio{scope="global"}',
}
AT_ZERO |= {
    *(f'agent_model_requests_total{{model="demo",outcome="{outcome}"}}' for outcome in ATTEMPTED),
    *(f'agent_model_refusals_total{{model="demo",reason="{reason}"}}' for reason in GATES),
    *(f'agent_runs_total{{agent="default",outcome="{outcome}"}}' for outcome in OUTCOMES),
    *(f'agent_tool_calls_total{{status="{status}",tool="clock"}}' for status in get_args(ToolStatus)),
    *(f'agent_rate_limited_total{{scope="{scope}"}}' for scope in get_args(Scope)),
    *(f'agent_budget_exceeded_total{{scope="{scope}"}}' for scope in get_args(BudgetScope)),
}


def test_every_known_series_is_there_at_zero_before_the_first_request(fresh_service: Service) -> None:
    metrics = fresh_service.metrics()
    assert metrics.keys() >= AT_ZERO
    assert {name: metrics[name] for name in AT_ZERO if metrics[name]} == {}


def test_what_a_process_is_and_how_late_its_loop_is_can_be_seen(fresh_service: Service) -> None:
    time.sleep(0.6)
    metrics = fresh_service.metrics()
    [built] = [name for name in metrics if name.startswith("agent_build_info{")]
    assert re.fullmatch(r'agent_build_info\{python="3\.\d+\.\d+",revision="unknown",version="[\d.]+"\}', built)
    assert metrics[built] == 1
    assert metrics["agent_event_loop_lag_seconds_count"] >= 2


def test_agents_tiers_and_models_that_follow_each_other_are_there_at_zero(serve: Serve, tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.mkdir()
    (agents / "helper.yaml").write_text("prompt: Help.\nmodels: [openai/b, demo]\n")
    service = serve(
        models="openai/a,openai/b,demo",
        openai_base_url="http://127.0.0.1:1/v1",
        unknown_price="allow",
        model_tiers='{"simple": "demo", "complex": "openai/a"}',
        agents_dir=agents,
        revision="abc1234",
    )
    metrics = service.metrics()
    assert {
        'agent_runs_total{agent="helper",outcome="failed_model"}',
        'agent_fallbacks_total{from="openai/a",to="openai/b"}',
        'agent_fallbacks_total{from="demo",to="openai/b"}',
        'agent_routed_total{reason="smalltalk",tier="simple"}',
        'agent_routed_total{reason="unsure",tier="complex"}',
    } <= metrics.keys()
    assert 'agent_routed_total{reason="unsure",tier="medium"}' not in metrics
    assert any(name.startswith("agent_build_info") and 'revision="abc1234"' in name for name in metrics)
    (agents / "later.yaml").write_text("prompt: Help.\n")
    service.wait_for_event("agents.loaded", agents=["default", "helper", "later"], seconds=30)
    assert 'agent_runs_total{agent="later",outcome="ok"}' in service.metrics()
    assert len(metrics) < 2000  # a server keeps each: more than that is a label too many


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
