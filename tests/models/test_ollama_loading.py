"""Ollama's loading of a model: its time is not counted, unless the server is dead."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.errors import ModelUnavailable
from app.messages import Usage
from app.models.observed import ObservedModel
from app.models.options import ModelOptions
from app.models.providers.http import Http
from app.models.providers.ollama import loading
from app.models.providers.ollama.model import OllamaModel
from app.models.silence import Deadlines
from tests.doubles import CHEAP
from tests.models.dialects import OllamaDialect, Script
from tests.models.servers import NO_ANSWER, Provider, Received, Reply
from tests.models.whole_answer import ask

FIRST_SECONDS = 0.4
LOADED = Reply([b'{"done": true, "done_reason": "load"}'])
LISTED = Reply([b'{"models": [{"name": "m"}]}'])
"""From the beginning of its loading on."""


class Ollama(Provider):
    """Loads its model for a while, then answers, if `answers`; without `alive` it answers nothing at all."""

    def __init__(self) -> None:
        super().__init__()
        self.load_seconds = 0.0
        self.alive = self.answers = True
        self.loads: list[dict[str, Any]] = []

    def reply_to(self, request: Received) -> Reply:
        if not self.alive:
            return NO_ANSWER
        match request.path:
            case "/api/ps":
                return LISTED
            case "/api/generate":
                self.loads.append(request.body)
                return Reply(LOADED.pieces, pause=0) if not self.load_seconds else self._later(LOADED)
            case _:
                answer = OllamaDialect().streamed(Script(("Hello",), usage=Usage(25, 15)))
                return self._later(answer) if self.answers else NO_ANSWER

    def _later(self, reply: Reply) -> Reply:
        """The blank that JSON may begin with, and the rest when the model is loaded."""
        return Reply([b" ", *reply.pieces], pause=self.load_seconds)


@pytest.fixture
async def ollama() -> AsyncIterator[Ollama]:
    async with Ollama() as server:
        yield server


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loading, "SOON_SECONDS", 0.15)
    monkeypatch.setattr(loading, "ALIVE_SECONDS", 0.3)


async def call(server: Ollama, http: Http) -> str:
    options = ModelOptions(parameters={"options": {"num_gpu": 1}})
    model = OllamaModel("m", server.url, 4096, "5m", http, options)
    observed = ObservedModel(model, CHEAP, Deadlines(FIRST_SECONDS, 0.0, 5.0))
    told: list[str] = []
    try:
        await observed.generate(ask(), told.append)
    except ModelUnavailable as error:
        return error.reason
    return "".join(told)


async def test_a_model_that_is_loading_is_waited_for(ollama: Ollama, http: Http) -> None:
    ollama.load_seconds = 0.8
    assert await call(ollama, http) == "Hello"
    [load] = ollama.loads
    assert load["options"] == {"num_gpu": 1, "num_ctx": 4096}, "with others it would be loaded once more"
    assert "prompt" not in load


async def test_a_model_that_is_loaded_and_silent_is_not(ollama: Ollama, http: Http) -> None:
    ollama.answers = False
    assert await call(ollama, http) == "silent"


async def test_a_server_that_answers_nothing_is_not_taken_for_one_that_loads(ollama: Ollama, http: Http) -> None:
    ollama.alive = False
    async with asyncio.timeout(10):
        assert await call(ollama, http) == "silent"


async def test_a_quick_answer_asks_nothing_else(ollama: Ollama, http: Http) -> None:
    assert await call(ollama, http) == "Hello"
    assert [request.path for request in ollama.received] == ["/api/chat"]
