"""What other servers are told of the request being served, and which."""

import re
from collections.abc import Iterator

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from app.settings import load
from app.telemetry.context import RequestContext, current
from app.telemetry.propagation import Propagation, hosts_of, trace_headers
from app.telemetry.recording import Worth
from app.telemetry.traces import Tracing
from tests.telemetry.recorded import traced_to

TRACE = "0af7651916cd43dd8448eb211c80319c"


@pytest.fixture
def request_id() -> Iterator[str]:
    token = current.set(RequestContext("request-1", TRACE))
    yield "request-1"
    current.reset(token)


def test_outside_of_a_request_there_is_nothing_to_tell() -> None:
    assert trace_headers() == {}


def test_a_request_that_is_not_sampled_is_told_as_such(request_id: str) -> None:
    headers = trace_headers()
    assert headers["X-Request-Id"] == request_id
    assert re.fullmatch(rf"00-{TRACE}-(?!0{{16}})[0-9a-f]{{16}}-00", headers["traceparent"])


@pytest.mark.usefixtures("request_id")
def test_the_half_that_stands_for_a_span_is_never_zero() -> None:
    token = current.set(RequestContext("request-1", f"{TRACE[:16]}{'0' * 16}"))
    assert not trace_headers()["traceparent"].endswith(f"-{'0' * 16}-00")
    current.reset(token)


@pytest.mark.parametrize("worth", [None, Worth(slow_seconds=60, dear_usd=1)], ids=["sampled", "late"])
def test_a_request_that_is_recorded_is_told_by_its_current_span(worth: Worth | None) -> None:
    request = traced_to(InMemorySpanExporter(), TRACE, worth=worth)
    token = current.set(request)
    with Tracing().span("chat", lambda _: {}, None) as span:
        ids = span.get_span_context()
        flags = "01" if worth is None else "00"
        assert trace_headers()["traceparent"] == f"00-{ids.trace_id:032x}-{ids.span_id:016x}-{flags}"
    assert trace_headers()["traceparent"].endswith("-00")
    current.reset(token)


def test_a_span_of_a_library_is_the_parent_of_what_it_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OTEL_SDK_DISABLED", raising=False)
    token = current.set(traced_to(InMemorySpanExporter(), TRACE))
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("library")
    with Tracing().span("execute_tool look", lambda _: {}, None) as tool, tracer.start_as_current_span("look") as span:
        ids = span.get_span_context()
        assert ids.trace_id == int(TRACE, 16)
        assert getattr(span, "parent", None) == tool.get_span_context()
        assert trace_headers()["traceparent"] == f"00-{TRACE}-{ids.span_id:016x}-01"
    current.reset(token)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("http://tools.example/x?y=z", True),
        ("https://TOOLS.example.:8443", True),
        ("http://a.b.internal", True),
        ("http://[::1]:8000/v1", True),
        ("http://evil-tools.example", False),
        ("http://tools.example.evil", False),
        ("http://internal", False),
        ("http://evilinternal", False),
        ("http://tools.example@evil.example", False),
        ("http://[broken", False),
        ("", False),
    ],
)
@pytest.mark.usefixtures("request_id")
def test_only_hosts_that_are_named_are_told(url: str, *, told: bool) -> None:
    propagation = Propagation(["tools.example", ".internal", "[::1]"])
    assert bool(propagation.headers(url)) is told


def test_the_operators_own_model_servers_are_told_and_public_ones_are_not() -> None:
    def told(**settings: str) -> set[str]:
        return set(hosts_of(load(None, **settings)))

    assert told() == {"127.0.0.1"}  # where Ollama is expected
    assert told(ollama_api_base="http://ollama:11434", openai_base_url="http://vllm:8000/v1") == {"ollama", "vllm"}
    assert told(openai_base_url="https://eu.api.openai.com/v1") == {"127.0.0.1"}
    assert told(openai_base_url="https://api.anthropic.com/v1") == {"127.0.0.1"}
    assert told(trace_hosts="api.tools.example, .internal") == {"127.0.0.1", "api.tools.example", ".internal"}
