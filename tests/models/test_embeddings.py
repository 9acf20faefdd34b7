"""Embeddings by both APIs: what is asked, what comes back, what fails, and who pays."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.errors import ConfigurationError, ModelError, ModelRateLimited
from app.messages import Usage
from app.models.call_records import Attempt
from app.models.embeddings import MAX_TEXTS, Embeddings, build_embeddings
from app.models.prices import flat_price
from app.models.providers.http import Http
from app.settings import load
from tests.models.embedding_server import EmbeddingServer, embedding
from tests.models.servers import NO_ANSWER, Reply

TEXTS = ["What is two?", "Was ist zwei?"]
pytestmark = pytest.mark.usefixtures("empty_environment")


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with EmbeddingServer() as server:
        yield server


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    http = Http()
    yield http
    await http.aclose()


@pytest.mark.parametrize(("ref", "path"), [("ollama/nomic", "/api/embed"), ("openai/small", "/embeddings")])
async def test_each_text_gets_its_vector_by_one_call(server: EmbeddingServer, http: Http, ref: str, path: str) -> None:
    attempts: list[Attempt] = []
    vectors = await Embeddings(ref, server.url, http).embed(TEXTS, attempts.append)
    assert list(vectors) == [embedding(text) for text in TEXTS]
    (request,) = server.received
    assert request.path == path
    assert request.body["input"] == TEXTS
    assert request.body["model"] == ref.partition("/")[2]
    assert attempts == [Attempt(ref, Usage(6, 0), 0)]


async def test_a_key_is_sent_and_the_tokens_cost_what_the_price_says(server: EmbeddingServer, http: Http) -> None:
    attempts: list[Attempt] = []
    price = flat_price(2.0, 0.0, None, None)
    await Embeddings("openai/m", server.url, http, api_key="sk-1", price=price).embed(TEXTS, attempts.append)
    assert server.received[0].headers["authorization"] == "Bearer sk-1"
    assert attempts[0].nanos == 6 * 2000


async def test_tokens_that_nobody_counted_are_estimated(server: EmbeddingServer, http: Http) -> None:
    server.will(said({"embeddings": [[1, 0]], "prompt_eval_count": 0}))
    attempts: list[Attempt] = []
    await Embeddings("ollama/m", server.url, http).embed(["x" * 40], attempts.append)
    assert attempts == [Attempt("ollama/m", Usage(10, 0), 0)]


def said(body: Any, status: int = 200) -> Reply:
    return Reply([json.dumps(body).encode() if not isinstance(body, bytes) else body], status)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        {"embeddings": None},
        {"embeddings": []},
        {"embeddings": [[1, 2]]},
        {"embeddings": [[1, 2], []]},
        {"embeddings": [[], []]},
        {"embeddings": [[1, 2], [1]]},
        {"embeddings": [[1, None], [1, 2]]},
        {"embeddings": [["a"], ["b"]]},
        {"embeddings": [[1, 2], [1, 2], [1, 2]]},
        b'{"embeddings": [[1e999], [1]]}',
        b'{"embeddings": [[NaN], [1]]}',
        b"\xff\xfe",
    ],
)
async def test_what_is_no_vector_for_each_text_is_a_broken_answer(
    server: EmbeddingServer, http: Http, body: Any
) -> None:
    server.will(said(body))
    attempts: list[Attempt] = []
    with pytest.raises(ModelError) as caught:
        await Embeddings("ollama/m", server.url, http).embed(TEXTS, attempts.append)
    assert caught.value.reason == "broken_answer"
    assert [attempt.uncertain for attempt in attempts] == [True]


@pytest.mark.parametrize(
    "data",
    [
        [{"embedding": [1], "index": 0}, {"embedding": [2], "index": 0}],
        [{"embedding": [1], "index": 1}, {"embedding": [2], "index": 2}],
    ],
)
async def test_indexes_that_do_not_fit_are_a_broken_answer(
    server: EmbeddingServer, http: Http, data: list[dict[str, Any]]
) -> None:
    server.will(said({"data": data}))
    with pytest.raises(ModelError, match="cannot be read"):
        await Embeddings("openai/m", server.url, http).embed(TEXTS)


async def test_vectors_without_indexes_are_in_order(server: EmbeddingServer, http: Http) -> None:
    server.will(said({"data": [{"embedding": [1]}, {"embedding": [2]}]}))
    assert await Embeddings("openai/m", server.url, http).embed(TEXTS) == [[1.0], [2.0]]


async def test_a_refusal_costs_nothing(server: EmbeddingServer, http: Http) -> None:
    server.will(said({"error": {"message": "slow down"}}, 429))
    attempts: list[Attempt] = []
    with pytest.raises(ModelRateLimited):
        await Embeddings("openai/m", server.url, http).embed(TEXTS, attempts.append)
    assert attempts == []


async def test_silence_ends_the_call_and_its_connection(server: EmbeddingServer, http: Http) -> None:
    server.will(NO_ANSWER)
    attempts: list[Attempt] = []
    with pytest.raises(ModelError) as caught:
        await Embeddings("openai/m", server.url, http, call_seconds=0.05).embed(TEXTS, attempts.append)
    assert caught.value.reason == "timeout"
    assert [attempt.uncertain for attempt in attempts] == [True]
    await asyncio.wait_for(server.left.wait(), 5)


async def test_a_call_is_cancelled_with_its_caller(server: EmbeddingServer, http: Http) -> None:
    server.will(NO_ANSWER)
    attempts: list[Attempt] = []
    call = asyncio.create_task(Embeddings("openai/m", server.url, http).embed(TEXTS, attempts.append))
    while not server.received:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.005)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.wait_for(server.left.wait(), 5)
    assert len(attempts) == 1


async def test_no_server_is_a_model_error(http: Http) -> None:
    with pytest.raises(ModelError) as caught:
        await Embeddings("ollama/m", "http://127.0.0.1:1", http).embed(TEXTS)
    assert caught.value.reason == "unreachable"


@pytest.mark.parametrize("count", [0, MAX_TEXTS + 1])
async def test_a_call_takes_a_bounded_number_of_texts(http: Http, count: int) -> None:
    with pytest.raises(ValueError, match="one call takes"):
        await Embeddings("ollama/m", "http://127.0.0.1:1", http).embed(["x"] * count)


async def test_openai_itself_needs_a_key_and_has_a_price() -> None:
    settings = {"similar_answers": "serve", "embedding_model": "openai/text-embedding-3-small"}
    with pytest.raises(ConfigurationError, match=r"^OPENAI_API_KEY: is not set"):
        build_embeddings(load(None, **settings))
    built = build_embeddings(load(None, openai_api_key="sk-x", **settings))
    assert built._price.cost_usd(Usage(1_000_000, 0)) == pytest.approx(0.02)
    elsewhere = build_embeddings(load(None, openai_base_url="http://vllm/v1", **settings))
    assert elsewhere._price.cost_usd(Usage(1_000_000, 0)) == 0
    await built.aclose()
    await elsewhere.aclose()
