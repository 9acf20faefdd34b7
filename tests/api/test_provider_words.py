"""What a provider says in its errors: keys, what users wrote, pages of HTML. None of it is shown to anybody."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest

from app.models.providers.causes import is_known, request_id_of
from tests.models.dialects import dump
from tests.models.servers import Reply
from tests.service import Service
from tests.telemetry.collector import Collector
from tests.upstream import Upstream

KEY = "sk-canary-0123456789abcdefABCDEF"
WORD = "CanaryPrompt"
MESSAGE = f"My {WORD} is long."
BODIES: dict[str, Any] = {
    "key": {"error": {"message": f"Incorrect API key provided: {KEY}", "type": WORD, "code": KEY, "param": WORD}},
    "echo": {"detail": [{"loc": ["body", WORD], "msg": f"bad {WORD}", "input": MESSAGE, "type": f"{WORD}_error"}]},
    "html": f"<html><title>{WORD}</title><body>{KEY} {MESSAGE}</body></html>",
    "large": {"error": {"message": f"{MESSAGE} {KEY} " * 20_000, "type": "invalid_request_error"}},
}
STATUSES = (400, 401, 429, 500)
IN_STREAM = 200
PROVIDERS = ("openai", "anthropic", "ollama")
CASES = [*product(PROVIDERS, (*STATUSES, IN_STREAM), BODIES, ("/chat", "/chat/stream"))]


@dataclass
class Asked:
    service: Service
    collector: Collector
    upstream: Upstream
    models: dict[str, Iterator[str]]
    """Spare ones: a model is left alone for a while after a 429."""

    def chat(self, path: str, provider: str, *, spare: bool) -> Any:
        model = next(self.models[provider]) if spare else f"{provider}/usual"
        return self.service.ask("POST", path, {"message": MESSAGE, "model": model})


def reply(provider: str, status: int, body: Any) -> Reply:
    text = body if isinstance(body, str) else dump(body)
    headers = {"Retry-After": "0", "x-request-id": KEY, "X-Echo": WORD}
    if status != IN_STREAM:
        return Reply([text.encode()], status, headers | ({"Content-Type": "text/html"} if text[0] == "<" else {}))
    if provider == "ollama":
        error = dump({"error": text})
        return Reply([f'{{"message": {{"content": "x"}}, "done": false}}\n{error}\n'.encode()], 200, headers)
    if provider == "openai":
        error = dump(body) if isinstance(body, dict) and "error" in body else dump({"error": {"message": text}})
        pieces = [b'data: {"choices": [{"delta": {"content": "x"}}]}\n\n', f"data: {error}\n\n".encode()]
    else:
        told = body["error"] if isinstance(body, dict) and "error" in body else {"type": WORD, "message": text}
        pieces = [f"event: error\ndata: {dump({'type': 'error', 'error': told})}\n\n".encode()]
    return Reply(pieces, 200, headers | {"Content-Type": "text/event-stream"})


def start(folder: Any, upstream: Upstream, collector: Collector, spare: int, **settings: object) -> Asked:
    """With so many spare models of each provider."""
    names = {name: [f"{name}/spare-{number}" for number in range(spare)] for name in PROVIDERS}
    service = Service(
        folder,
        models=",".join(model for name, group in names.items() for model in (f"{name}/usual", *group)),
        openai_base_url=f"{upstream.url}/v1",
        openai_api_key="sk-of-the-service",
        anthropic_base_url=upstream.url,
        anthropic_api_key="sk-of-the-service-2",
        ollama_api_base=upstream.url,
        unknown_price="allow",
        model_retries=0,
        breaker=False,
        anonymous_per_minute="off",
        refused_per_minute="off",
        otel_exporter_otlp_endpoint=collector.endpoint,
        otel_bsp_schedule_delay=100,
        **settings,
    )
    service.may_log_errors = True
    return Asked(service, collector, upstream, {name: iter(group) for name, group in names.items()})


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory, _upstream: Upstream) -> Iterator[Asked]:
    with Collector() as collector:
        asked = start(tmp_path_factory.mktemp("words"), _upstream, collector, 2 * len(BODIES))
        yield asked
        asked.service.end()


def test_no_word_of_an_error_is_in_an_answer_a_line_or_a_span(asked: Asked, upstream: Upstream) -> None:
    service, shown = asked.service, []
    for provider, status, body, path in CASES:
        upstream.reset(reply(provider, status, BODIES[body]))
        response = asked.chat(path, provider, spare=status == 429)
        assert response.status_code == 200 or response.status_code >= 400
        assert response.status_code != 500, (provider, status, body, path, response.text)
        shown.append(response.text + str(response.headers))
    service.wait_for_event("request", request_id=response.headers["x-request-id"])
    calls = service.log("llm_call", success=False)
    assert len(calls) == len(CASES)
    last = asked.collector.wait_for(response.headers["x-trace-id"], f"POST {path}")
    assert last
    shown += [service.raw_log(), service.stderr(), repr(asked.collector.spans), service.client.get("/health").text]
    for text in shown:
        assert "canary" not in text.lower()
    assert {call["cause"].split(":")[0] for call in calls if "cause" in call} >= {f"HTTP {s}" for s in STATUSES}


def test_with_log_content_the_words_are_logged_without_keys_and_cut(
    tmp_path_factory: pytest.TempPathFactory, upstream: Upstream
) -> None:
    with Collector() as collector:
        asked = start(tmp_path_factory.mktemp("content"), upstream, collector, 0, log_content=True)
        for provider, body in product(PROVIDERS, BODIES):
            upstream.reset(reply(provider, 400, BODIES[body]))
            asked.chat("/chat", provider, spare=False)
        asked.service.end()
    words = [line["words"] for line in asked.service.log("llm_call", success=False)]
    assert len(words) == len(PROVIDERS) * len(BODIES)
    assert all(WORD in text or "Incorrect" in text for text in words)
    assert max(len(text.encode()) for text in words) <= 2048
    assert KEY not in asked.service.raw_log()


@pytest.mark.parametrize(
    "code",
    ["invalid_request_error", "context_length_exceeded", "RateLimitError", "messages.0.content", "tools[3].function"],
)
def test_a_code_of_known_words_is_told(code: str) -> None:
    assert is_known(code)


@pytest.mark.parametrize("code", [WORD, KEY, f"invalid_{WORD}", "1301", "", "invalid request", "error_" * 40 + "error"])
def test_other_codes_are_not(code: str) -> None:
    assert not is_known(code)


def test_a_request_id_is_told_unless_it_is_a_key() -> None:
    assert request_id_of({"request-id": "req_011CSHoEeqs5C35K2UUqR7Fy"}) == "req_011CSHoEeqs5C35K2UUqR7Fy"
    assert request_id_of({"x-request-id": KEY}) == ""
    assert request_id_of({"x-request-id": "a b c d e f"}) == ""
    assert json.dumps(request_id_of({})) == '""'
