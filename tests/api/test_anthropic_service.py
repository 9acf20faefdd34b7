"""The whole service in front of a server that speaks Anthropic's API, with its `/v1` in the setting."""

from typing import Any

import pytest

from tests.api.events import parse_all
from tests.conftest import Serve
from tests.models.anthropic_events import DONE, STOP, call, end, start, stream, text, thinking
from tests.models.servers import Reply
from tests.service import Service, problem_of
from tests.upstream import Upstream

MODEL = "anthropic/claude-test"
USED = {"input_tokens": 10, "output_tokens": 5}
HI = stream(start(USED), text("Hi"), end(usage=USED), STOP, last=DONE)


@pytest.fixture
def service(serve: Serve, upstream: Upstream) -> Service:
    return serve(
        models=MODEL,
        anthropic_base_url=f"{upstream.url}/v1/",
        anthropic_api_key="sk-ant-of-the-service",
        unknown_price="allow",
        trace_hosts="127.0.0.1",
        log_level="debug",
    )


def answers(service: Service, upstream: Upstream, *replies: Reply) -> Any:
    """The same replies, asked for plain and as a stream."""
    upstream.reset(*replies)
    whole = service.chat("hi").json()
    upstream.reset(*replies)
    last = parse_all(service.ask("POST", "/chat/stream", {"message": "hi"}).text)[-1].data
    assert (whole["answer"], whole["finish_reason"]) == (last["answer"], last["finish_reason"])
    return whole


def test_answers(service: Service, upstream: Upstream) -> None:
    said = answers(service, upstream, HI)
    assert (said["answer"], said["usage"]["input_tokens"], said["usage"]["output_tokens"]) == ("Hi", 10, 5)
    assert upstream.calls[-1].path == "/v1/messages"
    refused = answers(service, upstream, stream(start(USED), end("refusal"), STOP))
    assert (refused["answer"], refused["finish_reason"]) == ("", "refusal")
    estimated = answers(service, upstream, stream(start(), text("Hi there"), end(), STOP))
    assert estimated["usage"]["output_tokens"] == 2
    assert estimated["usage"]["input_tokens"] > 100


def test_a_tool_is_called_and_the_server_told_of_the_request(service: Service, upstream: Upstream) -> None:
    asked = stream(start(USED), thinking(0, "hm", "sig"), call(1, "t", "clock"), end("tool_use"), STOP)
    upstream.reset(asked, HI)
    response = service.ask("POST", "/agent/run", {"query": "the time?"})
    assert [made["name"] for made in response.json()["tool_calls"]] == ["clock"]
    for request in upstream.calls:
        assert request.headers["x-request-id"] == response.headers["x-request-id"]
        assert request.headers["traceparent"].split("-")[1] == response.headers["x-trace-id"]


def test_failures(service: Service, upstream: Upstream) -> None:
    too_long = b'{"type": "error", "error": {"type": "invalid_request_error", "message": "prompt is too long: 9 > 8"}}'
    upstream.reset(Reply([too_long], 400))
    problem_of(service.chat("hi"), 422, "context-too-long")
    upstream.reset(Reply([too_long]))
    problem_of(service.chat("hi"), 422, "context-too-long")


def test_health_is_up_without_a_description_of_the_model(service: Service, upstream: Upstream) -> None:
    service.wait_for_event("dependency", dependency=MODEL, status="up")
    assert service.ask("GET", "/health").json()["checks"]["models"][MODEL]["status"] == "up"
