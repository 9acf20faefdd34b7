"""The service with SIMILAR_ANSWERS: who is given whose answer, what that costs, and what it looks like from outside."""

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import Serve
from tests.models.embedding_server import embedded
from tests.models.servers import Received, Reply
from tests.service import Service, environment
from tests.upstream import MODEL, Upstream, says_whole

QUESTION, PARAPHRASE = "What is the capital of Peru?", "what's the capital of Peru"
EMBEDDING = "openai/embedder"


class EmbeddingUpstream(Upstream):
    """Answers chats as it is told, and embeds what it is asked to."""

    def reply_to(self, request: Received) -> Reply:
        return embedded(request) if request.path.endswith("/embeddings") else super().reply_to(request)

    def asked(self, path: str) -> int:
        return sum(request.path.endswith(path) for request in self.calls)


@pytest.fixture
def provider() -> Iterator[EmbeddingUpstream]:
    with EmbeddingUpstream() as provider:
        provider.will(says_whole("Lima"))
        yield provider


def start(serve: Serve, provider: EmbeddingUpstream, mode: str, **settings: Any) -> Service:
    return serve(
        models=MODEL,
        openai_base_url=f"{provider.url}/v1",
        unknown_price="allow",
        answer_cache="true",
        similar_answers=mode,
        embedding_model=EMBEDDING,
        **settings,
    )


def lookups(service: Service) -> dict[str, float]:
    found = {result: service.metrics()[f'agent_similar_lookups_total{{result="{result}"}}'] for result in RESULTS}
    return {result: count for result, count in found.items() if count}


RESULTS = ("hit", "miss", "veto", "shadow_hit", "error")


def test_the_same_question_in_other_words_is_answered_from_the_cache(serve: Serve, provider: EmbeddingUpstream) -> None:
    service = start(serve, provider, "serve")
    assert lookups(service) == {}
    first = service.chat(QUESTION).json()
    second = service.chat(PARAPHRASE).json()
    third = service.chat("What is the capital of Chile?").json()
    assert [answer["cached"] for answer in (first, second, third)] == [False, True, False]
    assert second["answer"] == "Lima"
    assert second["usage"]["input_tokens"] == 11  # of the embedding call
    assert provider.asked("/chat/completions") == 2
    assert provider.asked("/embeddings") == 1
    assert lookups(service) == {"hit": 1, "miss": 1, "veto": 1}
    assert service.metrics()[f'agent_tokens_total{{model="{EMBEDDING}",type="input"}}'] == 11
    models = service.client.get("/usage").json()
    assert EMBEDDING in str(models)


def test_shadow_changes_no_answer(serve: Serve, provider: EmbeddingUpstream) -> None:
    service = start(serve, provider, "shadow")
    assert [service.chat(text).json()["cached"] for text in (QUESTION, PARAPHRASE)] == [False, False]
    assert provider.asked("/chat/completions") == 2
    assert lookups(service) == {"miss": 1, "shadow_hit": 1}
    assert service.wait_for_event("similar.found")["served"] is False


def test_never_asks_no_embedding_model(serve: Serve, provider: EmbeddingUpstream) -> None:
    service = start(serve, provider, "never")
    assert [service.chat(text).json()["cached"] for text in (QUESTION, PARAPHRASE)] == [False, False]
    assert provider.asked("/embeddings") == 0
    assert lookups(service) == {}


@pytest.mark.parametrize("directive", ["no-cache", "no-store"])
def test_a_request_that_wants_no_cached_answer_gets_none(
    serve: Serve, provider: EmbeddingUpstream, directive: str
) -> None:
    service = start(serve, provider, "serve")
    service.chat(QUESTION)
    answer = service.ask("POST", "/chat", {"message": PARAPHRASE}, cache_control=directive).json()
    assert answer["cached"] is False
    assert lookups(service) == {"miss": 1}


def test_another_history_is_another_question(serve: Serve, provider: EmbeddingUpstream) -> None:
    service = start(serve, provider, "serve")
    session = service.chat(QUESTION).json()["session_id"]
    assert service.chat(PARAPHRASE, session_id=session).json()["cached"] is False
    assert service.chat(PARAPHRASE).json()["cached"] is True


def test_without_its_embedding_server_the_model_answers(serve: Serve, provider: EmbeddingUpstream) -> None:
    service = serve(
        models=MODEL,
        openai_base_url=f"{provider.url}/v1",
        unknown_price="allow",
        answer_cache="true",
        similar_answers="serve",
        embedding_model="ollama/away",
        ollama_api_base="http://127.0.0.1:1",
    )
    assert [service.chat(text).json()["answer"] for text in (QUESTION, PARAPHRASE)] == ["Lima", "Lima"]
    assert provider.asked("/chat/completions") == 2
    assert lookups(service) == {"miss": 1, "error": 1}


@pytest.mark.parametrize("public", [False, True])
def test_users_share_answers_only_where_they_are_public(
    serve: Serve, provider: EmbeddingUpstream, public: bool
) -> None:
    service = start(serve, provider, "serve", answer_cache_public=public)
    service.chat(QUESTION, user_id="ada")
    assert service.chat(PARAPHRASE, user_id="eve").json()["cached"] is public
    assert service.chat(PARAPHRASE, user_id="ada").json()["cached"] is True


def test_never_imports_nothing_of_it() -> None:
    code = (
        "import sys; from app.main import create_app; from app.settings import load; create_app(load(None)); "
        "print([name for name in sys.modules if 'similar' in name or 'embedding' in name or name == 'app.runs.veto'])"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
