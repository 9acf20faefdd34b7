"""A run as callers see it."""

import msgspec
import pytest
from msgspec.structs import replace

from app.durable.event_codec import encode_error
from app.durable.record import Caller, Ending, Record, Webhook, Work
from app.durable.rendering import run_of
from app.durable.webhooks.message import body_of, delivery, read_message
from app.errors import BudgetExceeded
from app.messages import Usage
from app.runs.answers import agent_answer
from app.runs.events import Answer, ToolCallRecord
from app.runs.request import RunRequest

ANSWER = Answer(
    answer="4\u0662",
    session_id="s",
    message_id="r1",
    run_id="r1",
    model="demo",
    finish_reason="stop",
    usage=Usage(3, 4),
    tokens_used=7,
    cost_usd=0.1 + 0.2,
    latency_ms=1.25,
    trace_id="t",
    request_id="q",
    tool_calls=(ToolCallRecord("calculator", {"expression": "6*7"}, "ok", 0.5, "42"),),
)
CALLER = Caller("ada", None, "default", ("runs",), "", "", True)
WORK = Work("r1", "s", CALLER, RunRequest("6*7?"), "q", "", Webhook("https://hooks.example/in?token=t", "main"))
RECORD = Record(WORK, "ada", "default", "running", 1_764_500_000.123, started_at=1_764_500_001.5, claims=1)


def test_an_answer_reads_as_agent_run_has_it() -> None:
    shown = msgspec.json.decode(msgspec.json.encode(run_of(succeeded())))
    assert shown["answer"] == msgspec.json.decode(msgspec.json.encode(agent_answer(ANSWER)))
    assert shown["created_at"] == "2025-11-30T10:53:20.123000Z"
    assert (shown["start_at"], shown["error"]) == (None, None)
    assert shown["links"] == {"self": "/runs/r1", "events": "/runs/r1/events", "cancel": "/runs/r1/cancel"}


def test_an_answer_of_an_older_release_can_be_read() -> None:
    known = msgspec.json.decode(msgspec.json.encode(ANSWER))
    del known["suggestions"]
    older = replace(RECORD, answer=msgspec.json.encode(known))
    assert run_of(older).answer == agent_answer(ANSWER)


def test_a_failure_reads_as_the_problem_that_the_request_would_have_met() -> None:
    error = run_of(failed()).error
    assert error is not None
    assert (error.status, error.budget, error.resets_in_seconds) == (429, "user", 6)
    assert (error.instance, error.request_id) == ("/runs/r1", "q")


def succeeded() -> Record:
    answer = msgspec.json.encode(ANSWER)
    return replace(RECORD, status="succeeded", last_event=9, ended_at=1_764_500_002.25, answer=answer)


def failed() -> Record:
    budget = BudgetExceeded("user", "day", "usd", retry_after=5, resets_in=6)
    error = encode_error(budget)
    return replace(RECORD, status="failed", last_event=3, ended_at=1_764_500_002.25, error=error)


@pytest.mark.parametrize("ended", [succeeded(), failed()], ids=["succeeded", "failed"])
def test_a_webhook_shows_a_run_byte_for_byte_as_the_api_does(ended: Record) -> None:
    entry = delivery(RECORD, Ending(ended.status, ended.answer, ended.error), ended.last_event)
    kind = b"run.finished" if ended.status == "succeeded" else b"run.failed"
    time = b"2025-11-30T10:53:22.250000Z"
    run = msgspec.json.encode(run_of(ended))
    assert body_of(read_message(entry), ended.ended_at) == b'{"type":"%b","timestamp":"%b","data":%b}' % (
        kind,
        time,
        run,
    )


def test_a_run_without_a_webhook_has_no_delivery() -> None:
    assert delivery(replace(RECORD, work=replace(WORK, webhook=None)), Ending("succeeded")) == b""
