"""`/chat/stream`: a run's events as server-sent events."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from app.api import streams
from tests.api.events import DONE, blocks, parse, parse_all
from tests.api.serving import serving
from tests.conftest import Failing, Serve
from tests.models.servers import Reply
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, refuses, says, says_whole


@contextmanager
def streaming(service: Service, message: str = "hi") -> Iterator[httpx.Response]:
    with service.client.stream("POST", "/chat/stream", json={"message": message}) as response:
        yield response


@pytest.mark.parametrize("path", ["/chat/stream", "/api/chat/stream"])
def test_events_are_counted_from_one_and_named(demo: Service, path: str) -> None:
    response = demo.ask("POST", path, {"message": "one two three"})
    events = parse_all(response.text)
    assert [event.id for event in events] == list(range(1, len(events) + 1))
    names = [event.name for event in events]
    assert names[0] == "run.started"
    assert names[-2:] == ["usage", "run.finished"]
    assert set(names[1:-2]) == {"token"}
    assert len(names) > 5


def test_a_stream_is_not_to_be_stored_or_buffered(demo: Service) -> None:
    response = demo.ask("POST", "/chat/stream", {"message": "hi"})
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["cache-control"] == "no-cache"
    assert response.headers["x-accel-buffering"] == "no"
    assert "content-length" not in response.headers


def test_started_tells_the_ids(demo: Service) -> None:
    response = demo.ask("POST", "/chat/stream", {"message": "hi", "session_id": "mine"})
    started = parse_all(response.text)[0].data
    assert started.keys() == {"run_id", "session_id", "message_id", "model", "request_id", "trace_id"}
    assert started["session_id"] == "mine"
    assert started["model"] == "demo"
    assert started["request_id"] == response.headers["x-request-id"]
    assert started["trace_id"] == response.headers["x-trace-id"]


def test_the_tokens_together_are_the_answer_of_finished(demo: Service) -> None:
    events = parse_all(demo.ask("POST", "/chat/stream", {"message": "Grüße,\n\n“data: [DONE]” 👋\r\n"}).text)
    tokens = [event.data for event in events if event.name == "token"]
    assert all(token.keys() == {"text"} for token in tokens)
    assert "".join(token["text"] for token in tokens) == events[-1].data["answer"]
    assert "👋" in events[-1].data["answer"]


def test_finished_has_what_chat_answers(demo: Service) -> None:
    volatile = ("run_id", "session_id", "message_id", "latency_ms", "trace_id", "request_id")
    whole = demo.chat("What is 6 * 7?").json()
    finished = parse_all(demo.ask("POST", "/chat/stream", {"message": "What is 6 * 7?"}).text)[-1].data
    assert finished.keys() == whole.keys()
    assert all(finished[key] == whole[key] for key in whole.keys() - set(volatile))


def test_tools_are_told_as_they_start_and_finish(demo: Service) -> None:
    events = parse_all(demo.ask("POST", "/chat/stream", {"message": "What is 6 * 7?"}).text)
    started = next(event for event in events if event.name == "tool.started")
    finished = next(event for event in events if event.name == "tool.finished")
    assert started.data.keys() == {"id", "tool", "arguments"}
    assert (started.data["tool"], started.data["arguments"]) == ("calculator", {"expression": "6 * 7"})
    assert finished.data.keys() == {"id", "tool", "status", "latency_ms", "result", "error"}
    assert (finished.data["result"], finished.data["error"]) == ("42", None)
    assert (finished.data["id"], finished.data["status"]) == (started.data["id"], "ok")
    usages = [event.data for event in events if event.name == "usage"]
    assert len(usages) == 2
    assert usages[0].keys() == {"model", "usage", "cost_usd", "iteration"}
    total = sum(usage["usage"]["input_tokens"] + usage["usage"]["output_tokens"] for usage in usages)
    assert total == events[-1].data["tokens_used"]


def test_tokens_come_as_the_model_sends_them(relay: Service, upstream: Upstream) -> None:
    whole = says("Hel", "lo")
    upstream.will(whole.with_pieces(whole.pieces[:2]).ending_with("silent"))
    with streaming(relay) as response:
        arriving = blocks(response.iter_text())
        assert parse(next(arriving)).name == "run.started"
        assert parse(next(arriving)).data == {"text": "Hel"}


def test_a_run_that_fails_before_its_start_has_a_status_of_its_own(demo: Service) -> None:
    for path in ("/chat/stream", "/api/chat/stream"):
        problem_of(demo.ask("POST", path, {"message": "hi", "model": "nobody"}), 404, "not-found")
        problem_of(demo.ask("POST", path, {"message": " "}), 422, "invalid-request")


@pytest.mark.parametrize(
    ("reply", "status", "kind"),
    [
        (refuses(429, Retry_After="7"), 429, "model-rate-limited"),
        (refuses(500), 503, "model-unavailable"),
        (says("Hello", " there").ending_with("cut").with_pieces(says("Hello").pieces[:2]), 503, "model-unavailable"),
        (Reply([b"data: {broken\n\n"]), 503, "model-unavailable"),
    ],
    ids=["429", "500", "cut", "broken"],
)
def test_a_run_that_fails_later_ends_its_stream_with_a_problem(
    failing: Failing, upstream: Upstream, reply: Reply, status: int, kind: str
) -> None:
    upstream.will(reply)
    response = failing.ask("/chat/stream", {"message": "hi"})
    assert response.status_code == 200
    events = parse_all(response.text)
    assert [event.name for event in events].count("run.finished") == 0
    failed = events[-1]
    assert failed.name == "run.failed"
    assert failed.data["status"] == status
    assert failed.data["type"] == f"urn:agent-api:problem:{kind}"
    assert failed.data["instance"] == "/chat/stream"
    assert failed.data["request_id"] == response.headers["x-request-id"]
    assert {"title", "detail"} <= failed.data.keys()
    assert failed.data["retry_after_seconds"] == (7 if status == 429 else 5)
    assert "words of the provider" not in response.text


async def test_a_silent_run_is_kept_alive_by_comments(monkeypatch: pytest.MonkeyPatch, upstream: Upstream) -> None:
    monkeypatch.setattr(streams, "HEARTBEAT_SECONDS", 0.05)
    whole = says("Hel", "lo")
    upstream.will(whole.with_pieces(whole.pieces[:2]).ending_with("silent"))
    async with (
        serving(models=MODEL, openai_base_url=upstream.url, unknown_price="allow", run_timeout_seconds=1) as service,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{service.port}", trust_env=False) as client,
    ):
        text = (await client.post("/chat/stream", json={"message": "hi"})).text
    seen = list(blocks([text]))
    comments = [block for block in seen if block.startswith(":")]
    assert 5 < len(comments) < 25
    assert all("\n" not in comment for comment in comments)
    assert [event.name for event in parse_all(text)] == ["run.started", "token", "run.failed"]
    assert seen[-1] == DONE


def test_events_that_are_ready_together_are_written_together(serve: Serve, upstream: Upstream) -> None:
    """Without redaction, which makes one piece of the text of one read."""
    url = f"{upstream.url}/v1"
    unredacted = serve(models=MODEL, openai_base_url=url, unknown_price="allow", redact="none")
    whole = says(*["word "] * 200)
    upstream.will(whole.with_pieces([whole.whole()]))
    with streaming(unredacted) as response:
        chunks = list(response.iter_raw())
    assert len(parse_all(b"".join(chunks).decode())) > 200
    assert len(chunks) < 50


def test_a_whole_answer_asks_the_provider_for_no_stream(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole("hello"))
    relay.chat("hi")
    assert upstream.calls[0].body["stream"] is False
