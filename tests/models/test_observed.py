"""One model call: what is forwarded, counted, priced, logged and spanned, and what of it when it fails."""

import asyncio
from collections.abc import Callable

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from app.errors import ContextTooLong, ModelRateLimited, ModelUnavailable
from app.messages import ToolCall, Usage
from app.runs.events import Reasoning, Token, UsageReported
from app.telemetry.context import current
from tests.doubles import CHEAP, USAGE, Step, answers, asks_for
from tests.logged import capture_logs
from tests.models.observed_call import Reply, Stage
from tests.telemetry.recorded import traced_to


async def test_an_answer_is_forwarded_folded_and_priced() -> None:
    calls = [ToolCall("1", "double", {"number": 1}), ToolCall("2", "double", {"number": 2})]
    stage = Stage("Let me ", *asks_for(*calls, text="see."))
    reply = await stage.call()
    assert reply == Reply("Let me see.", tuple(calls), "tool_calls", USAGE, CHEAP.cost_usd(USAGE))
    assert stage.events == [
        Token("Let me "),
        Token("see."),
        UsageReported(stage.model.ref, USAGE, CHEAP.cost_usd(USAGE)),
    ]
    assert stage.used == [(USAGE, CHEAP.cost_usd(USAGE))]
    assert stage.model.open == 0


async def test_a_call_is_counted() -> None:
    stage = Stage(*answers("a", usage=Usage(100, 20, 30, 0)))
    await stage.call()
    assert stage.metric("agent_model_requests_total", outcome="ok") == 1
    assert stage.metric("agent_cost_usd_total") == pytest.approx(CHEAP.cost_usd(Usage(100, 20, 30, 0)))
    kinds = ("input", "output", "cache_read", "cache_write")
    assert [stage.metric("agent_tokens_total", type=kind) for kind in kinds] == [100, 20, 30, 0]


@pytest.mark.parametrize("stream", [True, False])
async def test_the_time_to_the_first_token_is_that_of_streams_only(stream: bool) -> None:
    stage = Stage(*answers("a", "b"))
    await stage.call(stream=stream)
    assert stage.metric("agent_time_to_first_token_seconds_count") == (1 if stream else None)


async def test_a_call_is_logged_without_what_was_said() -> None:
    stage = Stage(*answers("swordfish"))
    with capture_logs() as logs:
        await stage.call()
    [line] = logs
    assert line.pop("latency_ms") >= 0
    assert line == {
        "event": "llm_call",
        "log_level": "info",
        "model": stage.model.ref,
        "tokens": USAGE.total,
        "input_tokens": USAGE.input_tokens,
        "output_tokens": USAGE.output_tokens,
        "cost_usd": CHEAP.cost_usd(USAGE),
        "success": True,
    }


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (lambda: ModelUnavailable("Try again.", reason="overloaded", cause="their words"), "overloaded"),
        (lambda: ModelRateLimited("Try again.", reason="rate_limited"), "rate_limited"),
        (lambda: ContextTooLong("Too long."), "context_too_long"),
        (lambda: LookupError("a defect"), "error"),
    ],
    ids=["overloaded", "rate limit", "context too long", "a defect"],
)
async def test_a_failure_is_raised_counted_and_logged(error: Callable[[], Exception], outcome: str) -> None:
    raised = error()
    stage = Stage(raised)
    with capture_logs() as logs, pytest.raises(type(raised)) as caught:
        await stage.call()
    assert caught.value is raised
    assert stage.metric("agent_model_requests_total", outcome=outcome) == 1
    assert stage.metric("agent_model_requests_total", outcome="ok") is None
    [line] = [one for one in logs if one["event"] == "llm_call"]
    assert (line["event"], line["log_level"], line["success"]) == ("llm_call", "warning", False)
    assert (line["error"], line.get("cause", "")) == (outcome, getattr(raised, "cause", ""))
    assert stage.events == []
    assert stage.used == []


@pytest.mark.parametrize(
    ("script", "stream", "written"),
    [
        (["x" * 40, ModelUnavailable("", reason="cut_stream")], True, 10),
        (["x" * 40, ModelUnavailable("", reason="overloaded")], True, 10),
        (["x" * 4000, ModelUnavailable("", reason="overloaded")], True, 100),
        ([ModelUnavailable("", reason="timeout")], True, 0),
        ([("reasoning", "x" * 40), ("arguments", "y" * 20), ModelUnavailable("", reason="cut_stream")], True, 15),
        (["x" * 8, ("arguments", "y" * 4), ModelUnavailable("", reason="overloaded")], True, 3),
        ([ModelUnavailable("", reason="timeout")], False, 1),
        ([ModelUnavailable("", reason="disconnected")], False, 1),
        ([ModelUnavailable("", reason="unreachable")], False, None),
        ([LookupError()], False, None),
    ],
)
async def test_what_a_failed_call_may_have_used_is_told(script: list[Step], stream: bool, written: int | None) -> None:
    stage = Stage(*script)
    with pytest.raises((ModelUnavailable, LookupError)):
        await stage.call(stream=stream)
    if written is None:
        assert stage.used == []
    else:
        [(usage, cost_usd)] = stage.used
        assert usage.output_tokens == written
        assert usage.input_tokens > 0
        assert cost_usd == CHEAP.cost_usd(usage)
        assert stage.uncertain == [True]


async def test_reasoning_is_told_apart_from_the_answer() -> None:
    stage = Stage(("reasoning", "Hm. "), "Hello", ("arguments", '{"a":'), *answers())
    reply = await stage.call()
    assert reply.text == "Hello"
    assert stage.events[:2] == [Reasoning("Hm. "), Token("Hello")]
    assert stage.metric("agent_time_to_first_token_seconds_count") == 1


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cancelled_call_ends_the_models_work_and_counts_what_it_used(stream: bool) -> None:
    stage = Stage("x" * 40, asyncio.Event())
    task = asyncio.create_task(stage.call(stream=stream))
    await stage.model.opened.wait()
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stage.model.open == 0
    assert stage.metric("agent_model_requests_total", outcome="cancelled") == 1
    assert [usage.output_tokens for usage, _ in stage.used] == [10]  # what was told, or what the time allows


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


async def test_a_sampled_call_is_a_client_span_of_the_conventions(spans: InMemorySpanExporter) -> None:
    current.set(traced_to(spans))
    stage = Stage(*answers("swordfish", usage=Usage(100, 20, 30, 40)))
    await stage.call()
    [span] = spans.get_finished_spans()
    assert (span.name, span.kind) == (f"chat {stage.model.name}", SpanKind.CLIENT)
    told = dict(span.attributes or {})
    assert 0 < float(str(told.pop("gen_ai.response.time_to_first_chunk"))) < 60
    assert [event.name for event in span.events] == ["agent.first_content"]
    assert told == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "double",
        "gen_ai.request.model": stage.model.name,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stream": True,
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 30,
        "gen_ai.usage.cache_write.input_tokens": 40,
        "agent.cost_usd": CHEAP.cost_usd(Usage(100, 20, 30, 40)),
        "agent.cost.input_usd": CHEAP.cost_usd(Usage(100, 0, 30, 40)),
        "agent.cost.output_usd": CHEAP.cost_usd(Usage(0, 20)),
        "agent.attempts": 1,
    }


async def test_a_failed_call_is_a_failed_span_without_its_words(spans: InMemorySpanExporter) -> None:
    current.set(traced_to(spans))
    with pytest.raises(ModelUnavailable):
        await Stage(ModelUnavailable("swordfish", reason="overloaded", cause="swordfish")).call()
    [span] = spans.get_finished_spans()
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, "model-unavailable")
    assert "swordfish" not in span.to_json()


async def test_a_call_of_a_request_that_is_not_sampled_has_no_span(spans: InMemorySpanExporter) -> None:
    await Stage(*answers("a")).call()
    assert spans.get_finished_spans() == ()
