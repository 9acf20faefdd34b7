"""Answers to nearly equal questions: what is found and what is not, over a real store and a real embedding server."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import NamedTuple

import pytest

from app.models.call_records import Attempt
from app.models.embeddings import Embeddings
from app.models.providers.http import Http
from app.runs.similar import MAX_CHARS, SimilarQuestions, build_similar, cosine
from app.settings import load
from app.state.redis import connect
from app.state.similar_answers import MAX_QUESTIONS, SimilarAnswers
from app.state.store import Store
from app.telemetry.known_series import SIMILAR_RESULTS
from app.telemetry.metrics import SIMILAR_LOOKUPS
from tests.doubles import AbsentStore
from tests.models.embedding_server import EmbeddingServer, embedding
from tests.models.servers import NO_ANSWER, Reply
from tests.runs.near_misses import near_misses, paraphrases

pytestmark = pytest.mark.usefixtures("empty_environment")

QUESTION, PARAPHRASE, OTHER = (
    "What is the capital of Peru?",
    "what's the capital of Peru",
    "What is the capital of Chile?",
)
THRESHOLD = 0.95


def counted() -> dict[str, float]:
    return {result: SIMILAR_LOOKUPS.labels(result)._value.get() for result in SIMILAR_RESULTS}


class Scene(NamedTuple):
    similar: SimilarQuestions
    server: EmbeddingServer
    store: Store
    answers: dict[str, str]
    attempts: list[Attempt]
    before: dict[str, float]

    async def keep(self, question: str, key: str = "k", scope: str = "s") -> None:
        """As the answer `answer K`."""
        self.answers[key] = f"answer {key}"
        self.similar.keep_similar(scope, question, key, 60)
        await self.similar._kept.aclose()

    async def find(self, question: str, scope: str = "s") -> str | None:
        async def load_answer(key: str) -> str | None:
            return self.answers.get(key)

        return await self.similar.find_similar(scope, question, load_answer, self.attempts.append)

    def results(self) -> dict[str, float]:
        """Look-ups since the scene began, by result."""
        now = counted()
        return {result: now[result] - self.before[result] for result in now if now[result] != self.before[result]}


def scene(
    server: EmbeddingServer, store: Store, *, serve: bool = True, url: str | None = None, threshold: float = THRESHOLD
) -> Scene:
    embeddings = Embeddings("ollama/m", url or server.url, Http(), call_seconds=5)
    kept = SimilarAnswers(store, in_process=True)
    return Scene(SimilarQuestions(embeddings, kept, threshold, serve=serve), server, store, {}, [], counted())


@pytest.fixture
async def server() -> AsyncIterator[EmbeddingServer]:
    async with EmbeddingServer() as server:
        yield server


@pytest.fixture(params=["in-process", "server"])
async def store(request: pytest.FixtureRequest) -> AsyncIterator[Store]:
    url = request.getfixturevalue("redis_server").url if request.param == "server" else None
    made = connect(url)
    await made.call("FLUSHALL")
    yield made
    await made.aclose()


@pytest.fixture
async def here(server: EmbeddingServer, store: Store) -> AsyncIterator[Scene]:
    made = scene(server, store)
    yield made
    await made.similar.aclose()


async def test_the_same_question_in_other_words_has_its_answer(here: Scene) -> None:
    await here.keep(QUESTION)
    assert await here.find(PARAPHRASE) == "answer k"
    assert here.results() == {"hit": 1}
    (request,) = here.server.received
    assert request.body["input"] == [PARAPHRASE, QUESTION]
    assert [attempt.model for attempt in here.attempts] == ["ollama/m"]


async def test_a_look_that_the_veto_ends_calls_nothing(here: Scene) -> None:
    await here.keep(QUESTION)
    assert await here.find(OTHER) is None
    assert here.results() == {"veto": 1}
    assert here.server.received == []
    assert here.attempts == []


async def test_another_scope_has_other_questions(here: Scene) -> None:
    await here.keep(QUESTION, scope="ada")
    assert await here.find(PARAPHRASE, scope="eve") is None
    assert here.results() == {"miss": 1}


async def test_shadow_counts_a_hit_and_gives_no_answer(server: EmbeddingServer, store: Store) -> None:
    shadow = scene(server, store, serve=False)
    await shadow.keep(QUESTION)
    assert await shadow.find(PARAPHRASE) is None
    assert shadow.results() == {"shadow_hit": 1}
    assert len(shadow.attempts) == 1
    await shadow.similar.aclose()


async def test_texts_that_are_not_near_enough_are_a_miss(server: EmbeddingServer, store: Store) -> None:
    strict = scene(server, store, threshold=1.0)
    await strict.keep(QUESTION)
    assert await strict.find(PARAPHRASE) is None
    assert strict.results() == {"miss": 1}
    await strict.similar.aclose()


async def test_an_answer_that_is_gone_is_a_miss_and_the_next_nearest_counts(here: Scene) -> None:
    await here.keep(QUESTION, "old")
    await here.keep(PARAPHRASE, "new")
    del here.answers["new"]
    assert await here.find(PARAPHRASE) == "answer old"
    here.answers.clear()
    assert await here.find(PARAPHRASE) is None
    assert here.results() == {"hit": 1, "miss": 1}


async def test_the_newest_questions_of_a_scope_are_kept(here: Scene) -> None:
    for number in range(MAX_QUESTIONS + 2):
        await here.keep(f"What is {number} plus 1?", f"k{number}")
    await here.keep("What is 5 plus 1?", "k5")  # once more: it is the newest, and takes no second place
    kept = await SimilarAnswers(here.store, in_process=True).find("s")
    assert [question.key for question in kept] == ["k5", *(f"k{n}" for n in range(MAX_QUESTIONS + 1, 1, -1) if n != 5)]
    assert await here.find("What's 33 plus 1") == "answer k33"
    assert await here.find("What's 1 plus 1") is None


async def test_questions_are_forgotten_after_their_time(here: Scene) -> None:
    here.answers["k"] = "answer k"
    here.similar.keep_similar("s", QUESTION, "k", 0.05)
    await asyncio.sleep(0.2)
    assert await here.find(PARAPHRASE) is None
    assert here.results() == {"miss": 1}


async def test_a_store_in_the_process_forgets_the_oldest_scopes(here: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.state.similar_answers.MAX_SCOPES_IN_PROCESS", 3)
    for scope in "abcde":
        await here.keep(QUESTION, scope=scope)
    found = [scope for scope in "abcde" if await here.find(PARAPHRASE, scope=scope)]
    assert found == ["c", "d", "e"]


async def test_long_questions_are_neither_kept_nor_looked_for(here: Scene) -> None:
    long = "What is " + "x" * MAX_CHARS
    await here.keep(long)
    assert await here.find(long) is None
    assert here.results() == {}
    assert await here.store.call("DBSIZE") == 0


@pytest.mark.parametrize(
    "reply", [Reply(status=500), Reply([b"{}"]), Reply(status=429), NO_ANSWER.ending_with("reset")]
)
async def test_embeddings_that_fail_are_a_miss(here: Scene, reply: Reply) -> None:
    await here.keep(QUESTION)
    here.server.will(reply)
    assert await here.find(PARAPHRASE) is None
    assert here.results() == {"error": 1}


async def test_a_store_that_is_away_is_a_miss(server: EmbeddingServer) -> None:
    away = scene(server, AbsentStore())
    assert await away.find(PARAPHRASE) is None
    assert away.results() == {"error": 1}
    away.similar.keep_similar("s", QUESTION, "k", 60)
    await away.similar.aclose()


async def test_a_row_of_another_version_is_left_out(here: Scene) -> None:
    await here.store.call("LPUSH", "similar:{s}", b"\xff", b'{"a": 1}')
    await here.keep(QUESTION)
    assert await here.find(PARAPHRASE) == "answer k"


async def test_a_look_is_cancelled_with_its_run(here: Scene) -> None:
    await here.keep(QUESTION)
    here.server.will(NO_ANSWER)
    look = asyncio.create_task(here.find(PARAPHRASE))
    while not here.server.received:  # noqa: ASYNC110 - the server tells nobody
        await asyncio.sleep(0.005)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    await asyncio.wait_for(here.server.left.wait(), 5)
    assert [attempt.uncertain for attempt in here.attempts] == [True]


def near(a: str, b: str) -> bool:
    return cosine(embedding(a), embedding(b)) >= THRESHOLD


async def test_near_misses_that_embeddings_take_for_the_same_have_no_answer(server: EmbeddingServer) -> None:
    """The veto does the work: without it nearly all of these would be hits."""
    pairs = near_misses()
    here = scene(server, connect(None))
    passing = [pair for pair in pairs if near(*pair)]
    assert len(passing) >= 500
    assert len(passing) / len(pairs) > 0.9
    for number, pair in enumerate(pairs):
        await here.keep(pair.a, scope=f"{number}")
        assert await here.find(pair.b, scope=f"{number}") is None, pair
    assert here.results() == {"veto": len(pairs)}
    await here.similar.aclose()


async def test_no_near_miss_has_an_answer_beside_many_others(server: EmbeddingServer) -> None:
    pairs = near_misses()
    here = scene(server, connect(None))
    for start in range(0, len(pairs), MAX_QUESTIONS):
        some, scope = pairs[start : start + MAX_QUESTIONS], f"{start}"
        for number, pair in enumerate(some):
            await here.keep(pair.a, f"{start + number}", scope)
        for pair in some:
            found = await here.find(pair.b, scope)
            assert found is None or pairs[int(found.removeprefix("answer "))].a in _same_as(pair.b, some), pair
    await here.similar.aclose()


def _same_as(text: str, pairs: Sequence[tuple[str, str]]) -> set[str]:
    """Texts of templates stand in several pairs."""
    return {a for a, _ in pairs if a == text}


async def test_the_share_of_paraphrases_that_are_hits_is_reported(server: EmbeddingServer) -> None:
    pairs = paraphrases()
    here = scene(server, connect(None))
    hits = 0
    for number, pair in enumerate(pairs):
        await here.keep(pair.a, scope=f"{number}")
        hits += await here.find(pair.b, scope=f"{number}") is not None
    print(f"{hits} of {len(pairs)} paraphrases are hits")
    assert len(pairs) >= 100
    assert hits > 0
    await here.similar.aclose()


def test_the_cosine_of_what_has_no_direction_is_zero() -> None:
    assert cosine([0, 0], [1, 0]) == 0
    assert cosine([3, 4], [6, 8]) == pytest.approx(1)


async def test_the_setting_says_what_is_served() -> None:
    for mode, serve in (("serve", True), ("shadow", False)):
        built = build_similar(load(None, similar_answers=mode, embedding_model="ollama/m"), connect(None))
        assert built._serve is serve
        await built.aclose()
