"""The answer to a nearly equal question: the same question in other words, of the same user, agent and history.

Two locks, and both have to open. The veto (app/runs/veto.py) lets only what is the same question pass; then the
embeddings of both, made by one call, have to be near each other. Most looks end at the veto and call nothing. Any
failure is a miss.
"""

from collections.abc import Awaitable, Callable, Sequence
from math import sqrt
from operator import mul
from typing import TypeVar

from app.errors import AppError
from app.models.embeddings import Embeddings, build_embeddings
from app.models.observed import OnAttempt
from app.runs.veto import vetoed_as_read
from app.runs.wording import wording
from app.settings import Settings
from app.state.similar_answers import AnsweredQuestion, SimilarAnswers
from app.state.store import Store
from app.telemetry.logs import log
from app.telemetry.metrics import SIMILAR_LOOKUPS
from app.telemetry.traces import Tracing

MAX_CHARS = 2_000
"""Of a question; longer ones are neither kept nor looked for."""

MAX_COMPARED = 4
"""Kept questions that are embedded with the new one."""

Answer = TypeVar("Answer")


class SimilarQuestions:
    """Built once a process, unless SIMILAR_ANSWERS is `never`. `serve`: answers are given, and not only counted."""

    def __init__(self, embeddings: Embeddings, kept: SimilarAnswers, threshold: float, *, serve: bool) -> None:
        self._embeddings = embeddings
        self._kept = kept
        self._threshold = threshold
        self._serve = serve

    async def find_similar(
        self, scope: str, question: str, load: Callable[[str], Awaitable[Answer | None]], on_attempt: OnAttempt
    ) -> Answer | None:
        """The answer to the nearest question of the scope that is near enough, as `load` returns it by its key.

        `on_attempt` is told what the embedding call cost, whether or not it leads to an answer.
        """
        if len(question) > MAX_CHARS:
            return None
        try:
            result, answer = await self._look(scope, question, load, on_attempt)
        except AppError:  # logged where it was raised
            result, answer = "error", None
        SIMILAR_LOOKUPS.labels(result).inc()
        return answer

    async def _look(
        self, scope: str, question: str, load: Callable[[str], Awaitable[Answer | None]], on_attempt: OnAttempt
    ) -> tuple[str, Answer | None]:
        kept = await self._kept.find(scope)
        same = _same(question, kept)
        if not same:
            return "veto" if kept else "miss", None
        vectors = await self._embeddings.embed([question, *(other.text for other in same)], on_attempt)
        similarities = [cosine(vectors[0], vector) for vector in vectors[1:]]
        for similarity, other in sorted(zip(similarities, same, strict=True), key=lambda pair: -pair[0]):
            if similarity < self._threshold:
                break
            if (answer := await load(other.key)) is not None:
                log.note("similar.found", {"similarity": round(similarity, 4), "served": self._serve})
                return ("hit", answer) if self._serve else ("shadow_hit", None)
        return "miss", None

    def keep_similar(self, scope: str, question: str, key: str, seconds: float) -> None:
        """Remember that the answer of that key is this question's, in the background."""
        if len(question) <= MAX_CHARS:
            self._kept.keep(scope, AnsweredQuestion(wording(question).form, question, key), seconds)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._embeddings.aclose()


def _same(question: str, kept: Sequence[AnsweredQuestion]) -> Sequence[AnsweredQuestion]:
    asked = wording(question)
    form = asked.form
    same = (other for other in kept if other.form == form and vetoed_as_read(asked, wording(other.text)) is None)
    return [other for other, _ in zip(same, range(MAX_COMPARED), strict=False)]


def cosine(a: Sequence[float], b: Sequence[float]) -> float:
    """The cosine of the angle between two vectors of one length; 0 where one has no direction."""
    norms = sqrt(sum(map(mul, a, a))) * sqrt(sum(map(mul, b, b)))
    return sum(map(mul, a, b)) / norms if norms else 0.0


def build_similar(settings: Settings, store: Store, tracing: Tracing | None = None) -> SimilarQuestions:
    """For SIMILAR_ANSWERS other than `never`. Raises ConfigurationError."""
    kept = SimilarAnswers(store, in_process=not settings.redis_url)
    embeddings = build_embeddings(settings, tracing)
    serve = settings.similar_answers == "serve"
    return SimilarQuestions(embeddings, kept, settings.similar_threshold, serve=serve)
