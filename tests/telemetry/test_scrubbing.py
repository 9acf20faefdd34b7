"""Secrets are taken out of what others have written; what helps to find a fault stays."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pydantic import SecretStr

from app.settings import Settings
from app.telemetry import scrubbing
from app.telemetry.logs import log
from app.telemetry.scrubbed_spans import ScrubbedExporter
from app.telemetry.scrubbing import keep_secrets_of, without_secrets
from tests.logged import capture_logs

SECRET = "q7Xw2LpT9vBn4KzRj8Hs"


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    before, redactor = set(scrubbing.known_secrets), scrubbing.redactor_of_process()
    scrubbing.redact_with(None)
    yield
    scrubbing.redact_with(redactor)
    scrubbing.known_secrets.clear()
    scrubbing.known_secrets.update(before)


@pytest.mark.parametrize(
    "text",
    [
        f"Incorrect API key provided: sk-{SECRET}.",
        "Incorrect API key provided: sk-proj-****************************a1B2.",
        f"invalid x-api-key sk-ant-api03-{SECRET}-AA",
        f"Authorization: Bearer {SECRET}",
        f"bearer {SECRET} is expired",
        f"Basic {SECRET}==",
        f"GET https://user:{SECRET}@host.example/v1",
        f"redis://:{SECRET}@redis:6379/0 refused",
        f"https://host.example/v1?key={SECRET}&x=1",
        f"https://host.example/v1?x=1&api_key={SECRET}",
        f'{{"api_key": "{SECRET}"}}',
        f"{{'password': '{SECRET}'}}",
        "password=hunter2",
        f"client_secret: {SECRET}",
        f"AIza{SECRET}xyzabc012345",
        f"AKIA{SECRET.upper()}",
        f"hf_{SECRET}",
        f"gsk_{SECRET}",
        f"xai-{SECRET}",
        f"agentapi_{SECRET}",
        f"ghp_{SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"the key {SECRET} is not one of ours",
        "9f86d081884c7d659a2feaa0c55ad015",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}\n-----END PRIVATE KEY-----",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}",
    ],
)
def test_secrets(text: str) -> None:
    scrubbed = without_secrets(text)
    assert "…" in scrubbed
    for secret in (SECRET, SECRET.upper(), "hunter2", "****a1B2", "9f86d081"):
        assert secret not in scrubbed


@pytest.mark.parametrize(
    "text",
    [
        "HTTP 400: invalid_request_error Unsupported parameter: 'max_tokens' is not supported with this model.",
        "model claude-sonnet-4-5-20250929 is not known",
        "accounts/fireworks/models/llama-v3p1-70b-instruct",
        "DeepSeek-R1-Distill-Qwen-32B-Instruct gpt-4o-mini-2024-07-18 qwen2.5:3b",
        "Requested token count exceeds the maximum context length of 4096 tokens",
        "ClientConnectorError: Cannot connect to host 127.0.0.1:8000 ssl:default [Connect call failed]",
        "exceed_context_size_error insufficient_quota ResponsibleAIPolicyViolation",
        "https://host.example/v1/chat/completions?api-version=2024-06-01",
        "skeletons and tokens: many",
    ],
)
def test_what_helps_stays(text: str) -> None:
    assert without_secrets(text) == text


@given(st.text(max_size=300))
def test_any_text_is_taken(text: str) -> None:
    assert len(without_secrets(text)) <= len(text) + 5


def test_configured_secrets_go_by_their_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer collector-word,x=y")
    settings = Settings.model_construct(
        openai_api_key=SecretStr("plainwords"),
        anthropic_api_key=SecretStr("ollama"),
        jwt_secret=SecretStr("a word/with a slash\n"),
        redis_url="redis://user:correct-horse@redis:6379/0",
        openai_base_url="https://[broken",
    )
    keep_secrets_of(settings)
    for text in ("plainwords", "correct-horse", "collector-word", "a word/with a slash", "a%20word%2Fwith%20a%20slash"):
        assert without_secrets(f"said {text}!") == "said …!"
    assert without_secrets("ollama runner") == "ollama runner"


def test_stacks_in_the_log() -> None:
    with capture_logs() as lines:
        log.error("x", exc_info=ValueError(f"Bearer {SECRET}"))
        log.error("x")
    assert lines[0]["exception"] == "ValueError: Bearer …"
    assert "exception" not in lines[1]


def test_exceptions_in_spans() -> None:
    exported = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(ScrubbedExporter(exported)))
    tracer = provider.get_tracer("test")
    with pytest.raises(ValueError, match="Bearer"), tracer.start_as_current_span("failed", attributes={"kept": 1}):
        raise ValueError(f"Bearer {SECRET}")
    with tracer.start_as_current_span("fine") as span:
        span.add_event("x", {"number": 1})
    failed, fine = exported.get_finished_spans()
    assert SECRET not in failed.to_json()
    assert r"ValueError: Bearer \u2026" in failed.to_json()
    assert failed.attributes == {"kept": 1}
    assert (failed.status.status_code.name, fine.events[0].attributes) == ("ERROR", {"number": 1})
    assert failed.end_time
    provider.force_flush()
    provider.shutdown()
