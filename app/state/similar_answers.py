"""Questions whose answers are kept, by their scope: all but the question that shapes an answer."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from app.state.scripts import KEEP_QUESTION
from app.state.store import Script, Store, under_way
from app.state.writes import BackgroundWrites
from app.telemetry.logs import log

MAX_QUESTIONS = 32
"""Of a scope; the oldest goes first."""

MAX_SCOPES_IN_PROCESS = 2_000
"""That a store in the process has; the one that was longest without a new question goes first."""

_encode = msgspec.json.Encoder().encode


class AnsweredQuestion(Struct, frozen=True, array_like=True):
    form: str
    """As Wording.form."""
    text: str
    key: str
    """Of its answer in the answer cache."""


_decode = msgspec.json.Decoder(AnsweredQuestion).decode


class SimilarAnswers:
    """Built once a process. Commands leave when they are called."""

    def __init__(self, store: Store, *, in_process: bool) -> None:
        self._store = store
        self._keep = Script(store, KEEP_QUESTION)
        self._index = ("similar-scopes",) if in_process else ()
        self._writes = BackgroundWrites("similar_answers.unwritten")

    def find(self, scope: str) -> Coroutine[Any, Any, Sequence[AnsweredQuestion]]:
        """The scope's questions, newest first. Raises StateUnavailable."""
        return _read(self._store.call("LRANGE", _key(scope), 0, -1))

    def keep(self, scope: str, question: AnsweredQuestion, seconds: float) -> None:
        """Keep the question so long, in the background."""
        keys = (_key(scope), *self._index)
        bounds = (MAX_QUESTIONS, round(seconds * 1000), MAX_SCOPES_IN_PROCESS)
        self._writes.add(under_way(self._keep(keys, _encode(question), *bounds)))

    async def aclose(self) -> None:
        """Wait for what is being written."""
        await self._writes.aclose()


def _key(scope: str) -> str:
    return f"similar:{{{scope}}}"


async def _read(reply: asyncio.Future[Any]) -> Sequence[AnsweredQuestion]:
    questions = []
    for row in await reply:
        try:
            questions.append(_decode(row))
        except (msgspec.DecodeError, UnicodeDecodeError):  # another version's
            log.warning("similar_answers.unreadable")
    return questions
