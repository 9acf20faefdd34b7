"""Each request to a provider is a client span of its own, whichever client sends it."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind

from app.errors import AppError
from app.models.embeddings import Embeddings
from app.models.observed import ObservedModel
from app.models.prices import FREE
from app.models.protocol import Model
from app.models.providers.anthropic.model import AnthropicModel
from app.models.providers.http import Http
from app.models.resilient import ResilientModel
from app.telemetry.context import NO_REQUEST, current
from app.telemetry.conventions import SHAPES
from app.telemetry.outgoing import Outgoing
from app.telemetry.propagation import Propagation
from app.telemetry.traces import Tracing
from tests.models.dialects import Dialect, Script
from tests.models.servers import NO_ANSWER, Provider, Reply
from tests.models.whole_answer import ask
from tests.telemetry.recorded import traced_to


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    token = current.set(traced_to(exporter))
    yield exporter
    current.reset(token)


@pytest.fixture
def tracing() -> Tracing:
    return Tracing(None, Propagation(["127.0.0.1"]))


@pytest.fixture
async def resilient(dialect: Dialect, provider: Provider, tracing: Tracing) -> AsyncIterator[ResilientModel]:
    http = Http(silence_seconds=5, tracing=tracing)
    model: Model = dialect.model(provider.url, http)
    if isinstance(model, AnthropicModel):
        model = AnthropicModel("claude-test", provider.url, "sk-secret", outgoing=http.outgoing)
    yield ResilientModel(ObservedModel(model, FREE), tracing=tracing)
    await model.aclose()
    await http.aclose()


async def calls_of(model: ResilientModel, spans: InMemorySpanExporter) -> tuple[ReadableSpan, list[ReadableSpan]]:
    """The span of one call, and those of its requests."""
    with suppress(AppError):
        await model.generate(ask(), lambda _: None)
    found = list(spans.get_finished_spans())
    [chat] = [span for span in found if span.name.startswith("chat ")]
    requests = [span for span in found if span is not chat]
    assert all(span.parent and span.parent.span_id == chat.context.span_id for span in requests if chat.context)
    return chat, requests


async def test_an_answer(
    provider: Provider, dialect: Dialect, resilient: ResilientModel, spans: InMemorySpanExporter
) -> None:
    provider.will(dialect.streamed(Script()))
    chat, [request] = await calls_of(resilient, spans)
    told = dict(request.attributes or {})
    assert (request.name, request.kind) == ("POST", SpanKind.CLIENT)
    assert told.pop("url.full") == f"{provider.url}{provider.received[0].path.partition('?')[0]}"
    assert told == {
        "http.request.method": "POST",
        "server.address": "127.0.0.1",
        "server.port": int(provider.url.rpartition(":")[2]),
        "http.response.status_code": 200,
    }
    parent = provider.received[0].headers["traceparent"].split("-")[2]
    assert request.context is not None
    assert parent == f"{request.context.span_id:016x}"
    assert chat.start_time is not None
    assert request.start_time is not None
    assert chat.end_time is not None
    assert request.end_time is not None
    assert chat.start_time <= request.start_time <= request.end_time <= chat.end_time


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply([b"no"], 500), "500"),
        (Reply([b"no"], 429), "429"),
        (Reply([b"\xff{}\n"]), "broken_answer"),
        (Reply(status=0, ending="reset"), "disconnected"),
    ],
)
async def test_a_failure(
    provider: Provider, resilient: ResilientModel, spans: InMemorySpanExporter, reply: Reply, error: str
) -> None:
    provider.will(reply)
    _, [request] = await calls_of(resilient, spans)
    assert (request.attributes or {})["error.type"] == error
    assert not request.status.is_ok


async def test_a_call_that_a_gate_refuses_says_so_and_sends_nothing(
    resilient: ResilientModel, spans: InMemorySpanExporter
) -> None:
    resilient.resting.rest(60)
    chat, requests = await calls_of(resilient, spans)
    assert requests == []
    [event] = chat.events
    assert (event.name, dict(event.attributes or {})) == (
        "agent.model.refused",
        {"agent.model.refused.reason": "resting"},
    )
    assert (chat.attributes or {})["agent.attempts"] == 0


async def test_a_call_that_is_cancelled_leaves_no_span_open(
    provider: Provider, resilient: ResilientModel, spans: InMemorySpanExporter
) -> None:
    provider.will(NO_ANSWER)
    task = asyncio.create_task(resilient.generate(ask(), lambda _: None))
    while not provider.received:  # noqa: ASYNC110 - a list has no event to await
        await asyncio.sleep(0.001)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert {span.name.partition(" ")[0] for span in spans.get_finished_spans()} == {"POST", "chat"}
    assert all((span.attributes or {})["error.type"] == "CancelledError" for span in spans.get_finished_spans())


async def test_a_request_that_is_not_sampled_has_none(
    provider: Provider, dialect: Dialect, resilient: ResilientModel, spans: InMemorySpanExporter
) -> None:
    current.set(NO_REQUEST)
    provider.will(dialect.streamed(Script()))
    await resilient.generate(ask(), lambda _: None)
    assert spans.get_finished_spans() == ()


def test_no_span_has_what_may_be_a_secret_of_an_address(spans: InMemorySpanExporter, tracing: Tracing) -> None:
    with Outgoing(tracing).call("GET", "https://ada:swordfish@files.example/a?key=swordfish#swordfish"):
        pass
    [span] = spans.get_finished_spans()
    assert (span.attributes or {})["url.full"] == "https://files.example/a"
    assert (span.attributes or {})["server.port"] == 443
    assert "swordfish" not in span.to_json()


async def test_embeddings_have_a_span_with_their_request_inside(
    provider: Provider, tracing: Tracing, spans: InMemorySpanExporter
) -> None:
    http = Http(tracing=tracing)
    embeddings = Embeddings("ollama/small", provider.url, http, tracing=tracing)
    provider.will(Reply([b'{"embeddings":[[1,0]],"prompt_eval_count":6}']), Reply(status=0, ending="reset"))
    await embeddings.embed(["two"])
    with suppress(AppError):
        await embeddings.embed(["three"])
    await http.aclose()
    request, embedded, _, lost = spans.get_finished_spans()
    assert (embedded.name, embedded.kind) == ("embeddings small", SpanKind.CLIENT)
    assert request.parent is not None
    assert request.parent == embedded.context
    told, uncertain = dict(embedded.attributes or {}), dict(lost.attributes or {})
    shape = SHAPES["embeddings"]
    for attributes in (told, uncertain):
        assert shape.required <= set(attributes) <= shape.required | shape.optional
    assert (told["gen_ai.usage.input_tokens"], uncertain["agent.usage.uncertain"]) == (6, True)
