"""Each class of failures, made by a real server that misbehaves, and the row of the table that it comes to."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from email.utils import formatdate
from time import time
from typing import Literal

import pytest

from app.errors import AppError, ContextTooLong, DeadlineExceeded, InvalidRequest, ModelRateLimited, ModelUnavailable
from app.models.call_records import Attempt
from app.models.failure_table import RETRIED, TABLE, class_of, markdown, rule_of
from app.models.observed import ObservedModel
from app.models.protocol import REFUSALS, Completion
from app.models.providers.failures import _DETAILS
from app.models.providers.http import Http
from app.models.silence import Deadlines
from tests.doubles import CHEAP
from tests.models.dialects import AnthropicDialect, Dialect, OllamaDialect, OpenAIDialect, Script
from tests.models.servers import NO_ANSWER, Provider, Reply
from tests.models.whole_answer import ask

DIALECTS: Mapping[str, Dialect] = {
    "openai": OpenAIDialect(),
    "anthropic": AnthropicDialect(),
    "ollama": OllamaDialect(),
}
Form = Literal["stream", "plain"]
Misbehaving = Callable[[Dialect, bool], Reply]


def error(status: int, message: str = "no", **headers: str) -> Misbehaving:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda dialect, _: Reply(dialect.error(status, message).pieces, status, named)


def begun(ending: Literal["cut", "reset", "silent"], pieces: int) -> Misbehaving:
    """The first pieces of a stream, and no more."""

    def reply(dialect: Dialect, stream: bool) -> Reply:
        whole = dialect.streamed(Script())
        before = next(at for at, piece in enumerate(whole.pieces) if b"Hello" in piece)
        return whole.with_pieces(whole.pieces[: before + pieces]).ending_with(ending)

    return reply


def page(dialect: Dialect, stream: bool) -> Reply:
    return Reply([b"<html><body>Sign in to the network</body></html>"], headers={"Content-Type": "text/html"})


CASES: Mapping[str, tuple[Misbehaving, str]] = {
    "closed before the headers": (lambda *_: Reply(status=0, ending="cut"), "disconnected"),
    "reset before the headers": (lambda *_: Reply(status=0, ending="reset"), "disconnected"),
    "cut stream": (begun("cut", 1), "cut_stream"),
    "reset stream": (begun("reset", 1), "cut_stream"),
    "stream cut before its content": (begun("cut", 0), "cut_stream"),
    "silence before the headers": (lambda *_: NO_ANSWER, "silent"),
    "silence before the content": (begun("silent", 0), "silent"),
    "silence within the content": (begun("silent", 1), "stalled"),
    "a page of HTML": (page, "wrong_content_type"),
    "429": (error(429), "rate_limited"),
    "429 with seconds": (error(429, Retry_After="7"), "rate_limited"),
    "429 with a date": (error(429, Retry_After=formatdate(time() + 60, usegmt=True)), "rate_limited"),
    "insufficient quota": (error(429, "insufficient_quota: You exceeded your current quota"), "quota"),
    "402": (error(402), "quota"),
    "500": (error(500), "server_error"),
    "502": (error(502), "server_error"),
    "503": (error(503), "overloaded"),
    "504": (error(504), "timeout"),
    "529": (error(529), "shared_overload"),
    "400": (error(400), "bad_request"),
    "401": (error(401), "auth"),
    "403": (error(403), "auth"),
    "404": (error(404), "not_found"),
    "context too long": (error(400, "This model's maximum context length is 4096 tokens."), "context_too_long"),
    "content rules": (error(400, "content_filter: flagged by the content policy"), "content_filtered"),
}


@asynccontextmanager
async def called(dialect: Dialect, url: str, *, stream: bool = True) -> AsyncIterator["Calling"]:
    http = Http(connect_seconds=0.5)
    model = dialect.model(url, http)
    try:
        yield Calling(ObservedModel(model, CHEAP, Deadlines(0.6, 0.0, 0.4)), stream)
    finally:
        await model.aclose()
        await http.aclose()


class Calling:
    def __init__(self, model: ObservedModel, stream: bool) -> None:
        self.model = model
        self.stream = stream
        self.attempts: list[Attempt] = []

    async def __call__(self, ends_in: float = 60.0) -> Completion:
        ends_at = asyncio.get_running_loop().time() + ends_in
        request = ask(stream=self.stream)
        return await self.model.generate(request, lambda _: None, lambda *_: None, self.attempts.append, ends_at)

    async def fails(self, ends_in: float = 60.0) -> str:
        with pytest.raises(AppError) as caught:
            await self(ends_in)
        assert rule_of(caught.value) is TABLE[class_of(caught.value)]
        return class_of(caught.value)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_stream_that_fails(dialect: Dialect, case: str) -> None:
    misbehaving, word = CASES[case]
    async with Provider() as provider, called(dialect, provider.url) as calling:
        provider.will(misbehaving(dialect, True))
        assert await calling.fails() == word
        pays = "uncertain" if case in ("silence within the content", "reset stream") else TABLE[word].pays
        assert [attempt.uncertain for attempt in calling.attempts] == (
            {"nobody": [], "caller": [False], "uncertain": [True]}[pays]
        )


@pytest.mark.parametrize(
    "case", [case for case in CASES if not case.startswith(("silence", "stream", "cut", "reset s"))]
)
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_plain_call_that_fails(dialect: Dialect, case: str) -> None:
    misbehaving, word = CASES[case]
    async with Provider() as provider, called(dialect, provider.url, stream=False) as calling:
        provider.will(misbehaving(dialect, False))
        assert await calling.fails() == word


@pytest.mark.parametrize("data", ['{"choices": [{', "{broken"])
@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_broken_json(dialect: Dialect, data: str) -> None:
    prefix, end = (b"", b"\n") if dialect.name == "ollama" else (b"data: ", b"\n\n")
    async with Provider() as provider, called(dialect, provider.url) as calling:
        provider.will(Reply([prefix + data.encode() + end]))
        assert await calling.fails() == "broken_answer"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_plain_call_that_takes_too_long_may_have_been_billed(dialect: Dialect) -> None:
    async with Provider() as provider, called(dialect, provider.url, stream=False) as calling:
        provider.will(NO_ANSWER)
        assert await calling.fails(ends_in=0.3) == "timeout"
        assert [attempt.uncertain for attempt in calling.attempts] == [True]


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_server_that_is_not_there(dialect: Dialect) -> None:
    async with Provider() as gone:
        url = gone.url
    async with called(dialect, url) as calling:
        assert await calling.fails() == "unreachable"
    async with called(dialect, "http://no-such-host.invalid") as calling:
        assert await calling.fails() == "dns"


@pytest.mark.parametrize("dialect", [DIALECTS["openai"], DIALECTS["ollama"]], ids=["openai", "ollama"])
async def test_a_server_that_takes_no_connection(dialect: Dialect) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        full.setblocking(False)
        address = full.getsockname()
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(address)
        async with called(dialect, f"http://127.0.0.1:{address[1]}") as calling:
            assert await calling.fails() == "connect_timeout"
        for one in waiting:
            one.close()


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
async def test_a_connection_that_cannot_be_made_secure(dialect: Dialect) -> None:
    async def speak_no_tls(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(speak_no_tls, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, called(dialect, f"https://127.0.0.1:{port}") as calling:
        assert await calling.fails() == "tls"


@pytest.mark.parametrize("reason", ["refusal", "content_filter"])
async def test_a_refusal_is_an_answer_that_is_paid(reason: Literal["refusal", "content_filter"]) -> None:
    dialect = DIALECTS["openai"]
    async with Provider() as provider, called(dialect, provider.url) as calling:
        reply = dialect.streamed(Script(()))
        provider.will(reply.with_pieces([piece.replace(b'"stop"', f'"{reason}"'.encode()) for piece in reply.pieces]))
        completion = await calling()
    assert completion.stop_reason in REFUSALS
    assert [attempt.uncertain for attempt in calling.attempts] == [False]
    assert TABLE["refusal"].pays == "caller"


@pytest.mark.parametrize(
    ("failure", "word"),
    [
        (DeadlineExceeded(""), "deadline_exceeded"),
        (ContextTooLong(""), "context_too_long"),
        (InvalidRequest(""), "error"),
        (LookupError(), "error"),
        (asyncio.CancelledError(), "cancelled"),
        (ModelUnavailable("", reason="of another package"), "server_error"),
        (ModelRateLimited("", reason="of another package"), "rate_limited"),
        (ModelUnavailable("", reason="breaker_open"), "breaker_open"),
        (ModelUnavailable("", reason="busy"), "busy"),
        (ModelRateLimited("", reason="resting"), "resting"),
    ],
)
def test_anything_that_is_raised_is_of_a_class(failure: BaseException, word: str) -> None:
    assert class_of(failure) == word


def test_each_reason_of_a_provider_is_a_row_and_has_a_sentence() -> None:
    assert TABLE.keys() >= _DETAILS.keys()


def test_the_table_is_consistent() -> None:
    for word, rule in TABLE.items():
        assert not (rule.retry and rule.alert), f"{word}: what only the operator mends is not tried again"
        assert not (rule.retry and rule.next_model == "no"), word
    assert not {"quota", "shared_overload", "silent", "stalled", "timeout"} & set(RETRIED)
    assert TABLE["context_too_long"].next_model == "larger_window"
    ours = [TABLE[word] for word in ("breaker_open", "resting", "busy", "deadline_exceeded", "cancelled", "error")]
    assert not any(rule.breaker or rule.rest or rule.retry for rule in ours)


def test_the_table_is_written_for_the_docs() -> None:
    lines = markdown().splitlines()
    assert len(lines) == len(TABLE) + 2
    assert {line.count("|") for line in lines} == {9}
    assert lines[2].startswith("| `unreachable` | connection refused")
