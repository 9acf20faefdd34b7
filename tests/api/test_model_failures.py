"""What a caller is told when the model's provider does not do its part."""

import json
import time
from typing import Any

import pytest

from tests.api.events import parse_all
from tests.conftest import Failing, Serve
from tests.models.servers import NO_ANSWER, Reply
from tests.redis_server import free_port
from tests.service import Service, problem_of
from tests.upstream import MODEL, Upstream, asks, refuses, says, says_whole

ROUTES = [("/chat", "message"), ("/agent/run", "query")]


@pytest.mark.parametrize(("path", "field"), ROUTES)
def test_the_providers_429_is_a_429_that_says_when_to_try_again(
    failing: Failing, upstream: Upstream, path: str, field: str
) -> None:
    upstream.will(refuses(429, Retry_After="7"))
    response = failing.ask(path, {field: "hi"})
    problem_of(response, 429, "model-rate-limited")
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("given", [None, "soon", "-5", "nan", "inf", "1e400", "Wed, 21 Oct 2015 07:28:00 GMT"])
def test_a_429_says_when_to_try_again_even_if_the_provider_does_not(
    failing: Failing, upstream: Upstream, given: str | None
) -> None:
    upstream.will(refuses(429, **({} if given is None else {"Retry_After": given})))
    response = failing.chat("hi")
    problem_of(response, 429, "model-rate-limited")
    assert 1 <= int(response.headers["retry-after"]) <= 3600


BROKEN: dict[str, Reply] = {
    "500": refuses(500),
    "502 in HTML": Reply([b"<html>bad gateway</html>"], 502, {"Content-Type": "text/html"}),
    "503": refuses(503, Retry_After="9"),
    "529": refuses(529),
    "409": refuses(409),
    "425": refuses(425),
    "498": refuses(498),
    "broken JSON": Reply([b'{"choices":[{"mess']),
    "other JSON": Reply([b'{"hello":1}']),
    "an empty list": Reply([b"[]"]),
    "no bytes": Reply([b""]),
    "invalid UTF-8": Reply([b'{"choices":[{"message":{"content":"\xff"}}]}']),
    "no choices": Reply([b'{"choices":[]}']),
    "cut": says_whole("hello").ending_with("cut"),
    "reset": Reply([b'{"choices"'], ending="reset"),
    "reset at once": Reply(status=0, ending="reset"),
    "closed at once": Reply(status=0, ending="cut"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_provider_that_fails_is_a_503_that_says_when_to_try_again(
    failing: Failing, upstream: Upstream, kind: str
) -> None:
    upstream.will(BROKEN[kind])
    response = failing.chat("hi")
    problem_of(response, 503, "model-unavailable")
    assert 1 <= int(response.headers["retry-after"]) <= 3600
    assert "words of the provider" not in response.text
    assert str(upstream.url) not in response.text


PERMANENT: dict[str, Reply] = {
    "401": refuses(401, Retry_After="9"),
    "403": refuses(403),
    "402": refuses(402),
    "404": refuses(404),
    "400": refuses(400),
    "redirect": Reply([], 302, {"Location": "/elsewhere"}),
    "quota": Reply([b'{"error": {"message": "You exceeded your current quota", "code": "insufficient_quota"}}'], 429),
}


def of_upstream(serve: Serve, upstream: Upstream, **settings: object) -> Service:
    return serve(models=MODEL, openai_base_url=f"{upstream.url}/v1", unknown_price="allow", **settings)


def test_a_refusal_that_lasts_is_told_to_the_operator_and_not_to_be_tried_again(
    serve: Serve, upstream: Upstream
) -> None:
    service = of_upstream(serve, upstream, breaker=False)
    service.may_log_errors = True
    for kind, reply in PERMANENT.items():
        upstream.reset(reply)
        response = service.chat("hi")
        problem_of(response, 503, "model-unavailable")
        assert "retry-after" not in response.headers, kind
        assert "operator" in response.json()["detail"], kind
        service.wait_for_event("llm_call", request_id=response.headers["x-request-id"], level="error", success=False)


def test_content_that_the_provider_filters_is_the_callers(relay: Service, upstream: Upstream) -> None:
    body = b'{"error": {"message": "The response was filtered", "code": "content_filter", "param": "prompt"}}'
    upstream.will(Reply([body], 400))
    response = relay.chat("hi")
    problem_of(response, 422, "content-filtered")
    assert "retry-after" not in response.headers


SECRET = "sk-proj-4fGh78JkLmN0pQrStUv"
MARKER = "Zaunkoenig"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (422, {"detail": [{"loc": ["body", "messages"], "msg": "Field required", "input": f"my {MARKER}"}]}),
        (400, {"error": {"message": f"Invalid message: 'my {MARKER}'", "code": "invalid_value"}}),
        (400, {"error": {"message": f"cannot parse {MARKER.upper()}…", "failed_generation": MARKER}}),
        (500, {"error": f"upstream said no to Bearer {SECRET} for my {MARKER}"}),
        (500, {"error": {"message": f"GET https://user:{SECRET}@host/x?api_key={SECRET}: {MARKER}"}}),
        (400, {"error": {"message": f"Incorrect key provided: {SECRET}."}}),
        (400, f"my {MARKER} is not JSON, x-api-key: {SECRET}"),
    ],
)
@pytest.mark.parametrize("path", ["/chat", "/chat/stream"])
def test_what_a_provider_repeats_does_not_reach_the_log(
    failing: Failing, upstream: Upstream, status: int, body: Any, path: str
) -> None:
    upstream.will(Reply([body.encode() if isinstance(body, str) else json.dumps(body).encode()], status))
    response = failing.ask(path, {"message": f"This is my {MARKER} 4711."})
    line = failing.service.wait_for_event("llm_call", request_id=response.headers["x-request-id"])
    assert line["cause"].startswith(f"HTTP {status}")
    for told in (response.text, failing.service.raw_log()):
        assert MARKER.lower() not in told.lower()
        assert SECRET not in told


def event(**fields: Any) -> bytes:
    return b"data: " + json.dumps(fields).encode() + b"\n\n"


CUT: dict[str, Reply] = {
    "in a piece": says("Hello", " there").with_pieces([says("Hello").whole()[:60]]),
    "between pieces": says("Hello").with_pieces(says("Hello").pieces[:2]),
    "by a reset": says("Hello").with_pieces(says("Hello").pieces[:2]).ending_with("reset"),
    "before all": Reply([b""]),
    "broken JSON": Reply([b"data: {broken\n\n"]),
    "other JSON": Reply([b"data: [1]\n\n"]),
    "invalid UTF-8": Reply([b'data: {"choices":[{"delta":{"content":"\xff\xfe"}}]}\n\n']),
    "an error": Reply([event(error={"message": "words of the provider"})]),
    "HTML": Reply([b"<html></html>"]),
    "DONE only": Reply([b"data: [DONE]\n\n"]),
}


@pytest.mark.parametrize("kind", CUT)
def test_a_stream_that_breaks_off_ends_as_failed(relay: Service, upstream: Upstream, kind: str) -> None:
    upstream.will(CUT[kind])
    response = relay.ask("POST", "/chat/stream", {"message": "hi"})
    last = parse_all(response.text)[-1]
    assert (last.name, last.data["status"]) == ("run.failed", 503)
    assert "words of the provider" not in response.text


def test_a_model_that_has_nothing_to_say_is_asked_again(relay: Service, upstream: Upstream) -> None:
    upstream.will(says_whole(""), says_whole("Hello"))
    assert relay.chat("hi").json()["answer"] == "Hello"
    upstream.reset(says_whole(""))
    problem_of(relay.chat("hi"), 503, "model-unavailable")
    assert len(upstream.calls) == 2
    upstream.reset(says())
    last = parse_all(relay.ask("POST", "/chat/stream", {"message": "hi"}).text)[-1]
    assert (last.name, last.data["status"]) == ("run.failed", 503)


def test_a_failure_after_tools_ran_is_the_runs(relay: Service, upstream: Upstream) -> None:
    upstream.will(asks(("calculator", {"expression": "1+1"})), refuses(500))
    problem_of(relay.ask("POST", "/agent/run", {"query": "go"}), 503, "model-unavailable")
    assert len(upstream.calls) == 2


def test_a_provider_that_is_down_is_a_503(serve: Serve) -> None:
    service = serve(models=MODEL, openai_base_url=f"http://127.0.0.1:{free_port()}/v1", unknown_price="allow")
    response = service.chat("hi")
    problem_of(response, 503, "model-unavailable")
    assert "retry-after" in response.headers
    service.wait_for_event("dependency", dependency=MODEL, status="down")
    health = service.ask("GET", "/health")
    assert (health.status_code, health.json()["status"]) == (200, "degraded")
    assert health.json()["checks"]["models"][MODEL]["status"] == "down"
    assert service.ask("GET", "/ready").status_code == 200


def test_a_run_ends_at_its_deadline(serve: Serve, upstream: Upstream) -> None:
    service = serve(models=MODEL, openai_base_url=f"{upstream.url}/v1", unknown_price="allow", run_timeout_seconds=0.5)
    for reply in (NO_ANSWER, says_whole("hi").with_pieces([b"{"]).ending_with("silent")):
        upstream.reset(reply)
        started = time.monotonic()
        response = service.chat("hi")
        assert 0.5 <= time.monotonic() - started < 5
        assert problem_of(response, 504, "deadline-exceeded")["finish_reason"] == "deadline"
        upstream.wait_until_left(5)

    whole = says("Hel", "lo")
    upstream.reset(whole.with_pieces(whole.pieces[:2]).ending_with("silent"))
    events = parse_all(service.ask("POST", "/chat/stream", {"message": "hi"}).text)
    assert [event.name for event in events] == ["run.started", "token", "run.failed"]
    assert (events[-1].data["status"], events[-1].data["finish_reason"]) == (504, "deadline")
    upstream.wait_until_left(5)
