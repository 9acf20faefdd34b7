"""A real Ollama with a real model, where `ollama` is on PATH."""

import asyncio
import hashlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest

from app.errors import ContextTooLong, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.http import Http
from app.models.providers.ollama.model import OllamaModel
from tests.logged import capture_logs
from tests.models.counting_model import WORDS, counting_model
from tests.models.whole_answer import CALCULATOR, ask, whole_answer

OLLAMA = shutil.which("ollama")
TEMPLATE = "{{ if .System }}{{ .System }} {{ end }}{{ range .Messages }}{{ .Content }} {{ end }}"
TOOLS_TEMPLATE = "{{ range .Tools }}{{ .Function.Name }} {{ end }}" + TEMPLATE
COUNT = " ".join(WORDS)

pytestmark = pytest.mark.skipif(OLLAMA is None, reason="no `ollama` on PATH: NOTHING is checked against a real one")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a server of our own, with the model as `counting` and, told of tools, `counting-tools`."""
    home: Path = tmp_path_factory.mktemp("ollama")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{free.getsockname()[1]}"
    settings = {
        "OLLAMA_HOST": host,
        "OLLAMA_MODELS": str(home / "models"),
        "HOME": str(home),
        "OLLAMA_KEEP_ALIVE": "1m",
    }
    log = (home / "log").open("wb")
    process = subprocess.Popen([str(OLLAMA), "serve"], env=os.environ | settings, stdout=log, stderr=log)
    try:
        asyncio.run(_create(f"http://{host}"))
        yield f"http://{host}"
    finally:
        process.terminate()
        process.wait(10)
        log.close()


async def _create(url: str) -> None:
    file = counting_model()
    digest = f"sha256:{hashlib.sha256(file).hexdigest()}"
    deadline = time.monotonic() + 30
    async with aiohttp.ClientSession(url) as session:
        while True:
            try:
                async with session.get("/api/version"):
                    break
            except aiohttp.ClientConnectionError:
                assert time.monotonic() < deadline, "ollama does not start"
                await asyncio.sleep(0.1)
        async with session.post(f"/api/blobs/{digest}", data=file) as response:
            assert response.status == 201
        for name, template in (("counting", TEMPLATE), ("counting-tools", TOOLS_TEMPLATE)):
            body = {"model": name, "files": {"model.gguf": digest}, "template": template, "stream": False}
            async with session.post("/api/create", json=body) as response:
                assert response.status == 200, await response.text()


@pytest.fixture
async def http() -> AsyncIterator[Http]:
    session = Http()
    yield session
    await session.aclose()


def model(url: str, http: Http, name: str = "counting", num_ctx: int = 512) -> OllamaModel:
    return OllamaModel(name, url, num_ctx, "1m", http)


async def test_it_streams(server: str, http: Http) -> None:
    answer = await whole_answer(model(server, http), ask("count"))
    assert answer.text.strip() == COUNT
    assert len(answer.texts) == len(WORDS)
    assert answer.end.stop_reason == "stop"
    assert answer.end.usage.output_tokens == len(WORDS) + 1
    assert answer.end.usage.input_tokens > 5


async def test_plain_is_the_same(server: str, http: Http) -> None:
    streamed = await whole_answer(model(server, http), ask("count"))
    plain = await whole_answer(model(server, http), ask("count", stream=False))
    assert (plain.text, plain.end) == (streamed.text, streamed.end)


async def test_max_tokens_ends_it(server: str, http: Http) -> None:
    request = ModelRequest("", [UserMessage("count")], max_tokens=3)
    answer = await whole_answer(model(server, http), request)
    assert answer.text.strip() == "one two three"
    assert answer.end.stop_reason == "max_tokens"


@pytest.mark.parametrize("stream", [True, False])
async def test_a_prompt_that_does_not_fit_is_an_error(server: str, http: Http, stream: bool) -> None:
    with pytest.raises(ContextTooLong):
        await whole_answer(model(server, http, num_ctx=256), ask("far too long " * 100, stream=stream))


async def test_a_history_that_does_not_fit_is_an_error(server: str, http: Http) -> None:
    turn = (UserMessage("long " * 40), AssistantMessage("one"))
    with pytest.raises(ContextTooLong):
        await whole_answer(model(server, http, num_ctx=256), ModelRequest("", [*turn, *turn, UserMessage("go on")]))


async def test_an_answer_that_fills_the_window_ends_there(server: str, http: Http) -> None:
    """Ollama would else drop the start of the prompt to go on."""
    request = ModelRequest("", [UserMessage("a " * 123)])
    answer = await whole_answer(model(server, http, num_ctx=256), request)
    assert answer.end.stop_reason == "max_tokens"
    assert COUNT.startswith(answer.text.strip())
    assert 250 < answer.end.usage.total <= 257


async def test_tools_are_left_out_where_the_template_has_none(server: str, http: Http) -> None:
    without = model(server, http)
    with capture_logs() as logs:
        first = await whole_answer(without, ask("count", tools=(CALCULATOR,)))
        second = await whole_answer(without, ask("count", tools=(CALCULATOR,)))
    assert first.text.strip() == second.text.strip() == COUNT
    assert [entry["event"] for entry in logs] == ["model.request_changed"]


async def test_a_conversation_with_tools_is_taken(server: str, http: Http) -> None:
    messages: list[Message] = [
        UserMessage("what is 1 + 1?"),
        AssistantMessage("", (ToolCall("call_1", "calculator", {"expression": "1 + 1"}),)),
        ToolMessage("call_1", "calculator", "2"),
    ]
    with capture_logs() as logs:
        answer = await whole_answer(model(server, http, "counting-tools"), ModelRequest("", messages, (CALCULATOR,)))
    assert answer.text.strip() == COUNT
    assert not logs


async def test_a_model_that_is_not_there(server: str, http: Http) -> None:
    missing = model(server, http, "missing:1b")
    for attempt in (whole_answer(missing, ask()), missing.probe()):
        with pytest.raises(ModelUnavailable) as caught:
            await attempt
        assert caught.value.reason == "not_found"
        assert "ollama pull missing:1b" in caught.value.detail


async def test_it_is_alive(server: str, http: Http) -> None:
    await model(server, http).probe()
