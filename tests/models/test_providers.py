"""What holds for every provider, each in its own protocol over real sockets."""

import asyncio
import time

import pytest

from app.errors import ContextTooLong, ModelError, ModelRateLimited, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import Model, ModelRequest
from app.models.providers.http import Http
from tests.models.dialects import AnthropicDialect, Dialect, OpenAIDialect, Script
from tests.models.servers import NO_ANSWER, Provider, Reply
from tests.models.whole_answer import CALCULATOR, CLOCK, ask, whole_answer

CALLS = (ToolCall("call_1", "calculator", {"expression": "1 + 2"}), ToolCall("call_2", "clock", {"zone": "Asia/Tokyo"}))


async def test_a_stream_is_given_on_piece_by_piece(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.streamed(Script(("Grüße", " aus", " 東京 🗼"))))
    answer = await whole_answer(model, ask())
    assert answer.texts == ["Grüße", " aus", " 東京 🗼"]
    assert answer.end.stop_reason == "stop"
    assert answer.end.usage == Usage(25, 15)


async def test_without_stream_the_text_comes_at_once(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.plain(Script()))
    answer = await whole_answer(model, ask(stream=False))
    assert answer.texts == ["Hello world."]
    assert provider.received[0].body["stream"] is False


@pytest.mark.parametrize(
    "script",
    [
        Script(),
        Script(texts=()),
        Script(out_of_tokens=True),
        Script(calls=CALLS),
        Script(texts=(), calls=CALLS[:1]),
        Script(calls=[ToolCall("call_1", "clock", {})]),
        Script(calls=[ToolCall("call_1", "x", {"deep": [{"ä": None}], "n": 1.5})]),
    ],
    ids=["text", "nothing", "max_tokens", "text and two calls", "one call", "no arguments", "odd arguments"],
)
async def test_plain_and_streamed_are_the_same_answer(
    dialect: Dialect, provider: Provider, model: Model, script: Script
) -> None:
    provider.will(dialect.streamed(script), dialect.plain(script))
    streamed = await whole_answer(model, ask())
    plain = await whole_answer(model, ask(stream=False))
    assert (streamed.text, streamed.calls, streamed.end) == (plain.text, plain.calls, plain.end)
    assert streamed.text == "".join(script.texts)
    assert streamed.calls == list(script.calls)
    expected = "max_tokens" if script.out_of_tokens else "tool_calls" if script.calls else "stop"
    assert streamed.end.stop_reason == expected


async def test_one_byte_at_a_time(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply = dialect.streamed(Script(("Grüße", " 🗼"), CALLS))
    whole = reply.whole()
    provider.will(reply.with_pieces([whole[at : at + 1] for at in range(len(whole))]))
    answer = await whole_answer(model, ask())
    assert answer.texts == ["Grüße", " 🗼"]
    assert answer.calls == list(CALLS)


async def test_answers_share_a_connection(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.streamed(Script()), dialect.plain(Script()), dialect.streamed(Script()))
    for stream in (True, False, True):
        await whole_answer(model, ask(stream=stream))
    assert provider.connections == 1


async def test_a_hundred_and_fifty_calls_at_once(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply = dialect.streamed(Script())
    provider.will(Reply(reply.pieces, pause=0.05))
    answers = await asyncio.gather(*(whole_answer(model, ask()) for _ in range(150)))
    assert {answer.text for answer in answers} == {"Hello world."}
    assert provider.connections == 150


async def test_tool_results_go_back(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.streamed(Script()))
    conversation: list[Message] = [
        UserMessage("1 + 2, and the time?"),
        AssistantMessage("Let me see.", CALLS),
        ToolMessage("call_1", "calculator", "3"),
        ToolMessage("call_2", "clock", "no such zone", is_error=True),
        AssistantMessage("It is 3."),
        UserMessage("Thanks."),
    ]
    await whole_answer(model, ModelRequest("Be brief.", conversation, (CALCULATOR, CLOCK), 100))
    sent = str(provider.received[0].body)
    places = [sent.index(part) for part in ("1 + 2, and", "Let me see", "no such zone", "It is 3.", "Thanks.")]
    assert places == sorted(places)
    assert sent.count("call_1") >= 2
    assert "Work out an expression." in sent


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize(
    ("status", "message", "error", "reason"),
    [
        (429, "slow down", ModelRateLimited, "rate_limited"),
        (500, "oh no", ModelUnavailable, "server_error"),
        (502, "bad gateway", ModelUnavailable, "server_error"),
        (503, "busy", ModelUnavailable, "overloaded"),
        (529, "too much", ModelUnavailable, "shared_overload"),
        (504, "timed out", ModelUnavailable, "timeout"),
        (401, "bad key", ModelUnavailable, "auth"),
        (402, "no money", ModelUnavailable, "quota"),
        (403, "no access", ModelUnavailable, "auth"),
        (404, "no such model", ModelUnavailable, "not_found"),
        (400, "what is this", ModelUnavailable, "bad_request"),
        (302, "elsewhere", ModelUnavailable, "bad_request"),
    ],
)
async def test_errors(
    dialect: Dialect,
    provider: Provider,
    model: Model,
    stream: bool,
    status: int,
    message: str,
    error: type[ModelError],
    reason: str,
) -> None:
    provider.will(dialect.error(status, message))
    with pytest.raises(error) as caught:
        await whole_answer(model, ask(stream=stream))
    assert caught.value.reason == reason
    assert caught.value.cause.startswith(f"HTTP {status}")
    assert message in caught.value.words
    assert message not in caught.value.cause
    assert message not in caught.value.detail
    assert caught.value.detail.endswith((".", "`"))


@pytest.mark.parametrize(
    ("status", "error"), [(429, ModelRateLimited), (503, ModelUnavailable), (529, ModelUnavailable)]
)
async def test_retry_after_is_read(
    dialect: Dialect, provider: Provider, model: Model, status: int, error: type[ModelError]
) -> None:
    reply = dialect.error(status, "slow down")
    provider.will(Reply(reply.pieces, status, {"Retry-After": "7"}))
    with pytest.raises(ModelError) as caught:
        await whole_answer(model, ask())
    assert caught.value.retry_after == 7
    assert len(provider.received) == 1, "nothing here tries again"


@pytest.mark.parametrize(
    "message",
    [
        "prompt is too long: 213462 tokens > 200000 maximum",
        "input length and `max_tokens` exceed context limit: 1 + 2 > 3",
        "This model's maximum context length is 4096 tokens.",
        "The decoder prompt (length 9) is longer than the maximum model length of 8.",
        "the input length exceeds the context length",
        "the request exceeds the available context size",
    ],
)
async def test_a_conversation_that_does_not_fit(
    dialect: Dialect, provider: Provider, model: Model, message: str
) -> None:
    provider.will(dialect.error(400, message))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())


async def test_an_error_page_is_not_taken_for_json(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(Reply([b"<html>\xff Bad Gateway</html>"], 502, {"Content-Type": "text/html"}))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert "Bad Gateway" in caught.value.words


async def test_an_answer_packed_in_a_way_that_was_not_asked_for(
    dialect: Dialect, provider: Provider, model: Model
) -> None:
    provider.will(Reply([b"this is not gzip"], headers={"Content-Encoding": "gzip"}))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason in ("broken_answer", "cut_stream")


async def test_keys_are_kept_out_of_words(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.error(401, "Incorrect API key provided: sk-proj-abcdefghijklmnop"))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert "Incorrect API key" in caught.value.words
    assert "abcdefgh" not in caught.value.words


@pytest.mark.parametrize("ending", ["complete", "cut", "reset"])
async def test_a_stream_that_is_cut(dialect: Dialect, provider: Provider, model: Model, ending: str) -> None:
    reply = dialect.streamed(Script(("Hello", " wor", "ld.")))
    first = next(at for at, piece in enumerate(reply.pieces) if b"Hello" in piece)
    for pieces in (reply.pieces[: first + 1], reply.pieces[:first], [*reply.pieces[:first], reply.pieces[first][:-9]]):
        provider.will(reply.with_pieces(pieces).ending_with(ending))  # type: ignore[arg-type]
        with pytest.raises(ModelUnavailable) as caught:
            await whole_answer(model, ask())
        assert caught.value.reason in ("cut_stream", "broken_answer")
    assert caught.value.detail


@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_an_answer_of_nothing(dialect: Dialect, provider: Provider, model: Model, stream: bool) -> None:
    provider.will(Reply([]))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask(stream=stream))
    assert caught.value.reason == ("cut_stream" if stream else "broken_answer")


@pytest.mark.parametrize("data", ["{broken", '{"type": 1, "choices": 2, "message": 3}', '{"type":"x"', "[]", "null"])
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_json_that_is_broken_or_of_other_types(
    dialect: Dialect, provider: Provider, model: Model, stream: bool, data: str
) -> None:
    separator = b"\n" if dialect.name == "ollama" else b"\n\n"
    prefix = b"" if dialect.name == "ollama" else b"data: "
    provider.will(Reply([prefix + data.encode() + separator] if stream else [data.encode()]))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask(stream=stream))
    assert caught.value.reason == "broken_answer"


async def test_invalid_utf_8(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply = dialect.streamed(Script(("Hello",)))
    provider.will(reply.with_pieces([piece.replace(b"ell", b"\xff\xfe") for piece in reply.pieces]))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "broken_answer"


@pytest.mark.parametrize("reply", [NO_ANSWER, None], ids=["before the headers", "in the midst of the stream"])
async def test_cancellation_closes_the_connection(
    dialect: Dialect, provider: Provider, model: Model, reply: Reply | None
) -> None:
    streamed = dialect.streamed(Script())
    provider.will(reply or streamed.with_pieces(streamed.pieces[:3]).ending_with("silent"))
    task = asyncio.create_task(whole_answer(model, ask()))
    await asyncio.sleep(0.2)
    started = time.monotonic()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(1):
        await provider.left.wait()
    assert time.monotonic() - started < 1


async def test_a_deadline_is_the_callers(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(NO_ANSWER)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await whole_answer(model, ask())
    async with asyncio.timeout(1):
        await provider.left.wait()


@pytest.mark.parametrize("ending", ["before the headers", "in the midst of the stream"])
async def test_a_server_that_falls_silent_is_noticed(dialect: Dialect, provider: Provider, ending: str) -> None:
    reply = dialect.streamed(Script())
    pieces = reply.with_pieces(reply.pieces[:3]).ending_with("silent")
    provider.will(NO_ANSWER if ending == "before the headers" else pieces)
    http = Http(silence_seconds=0.2)
    model = dialect.model(provider.url, http, silence_seconds=0.2)
    try:
        with pytest.raises(ModelUnavailable) as caught:
            await whole_answer(model, ask())
        assert caught.value.reason == "timeout"
    finally:
        await model.aclose()
        await http.aclose()


async def test_a_server_that_is_not_there(dialect: Dialect, provider: Provider, http: Http) -> None:
    async with Provider() as gone:
        url = gone.url
    model = dialect.model(url, http)
    for attempt in (whole_answer(model, ask()), model.probe()):
        with pytest.raises(ModelUnavailable) as caught:
            await attempt
        assert caught.value.reason == "unreachable"
    await model.aclose()


@pytest.mark.parametrize(
    ("url", "reason"), [("http://127.0.0.1:99999", "unreachable"), ("http://no-such-host.invalid", "dns")]
)
async def test_an_address_that_is_none(dialect: Dialect, http: Http, url: str, reason: str) -> None:
    model = dialect.model(url, http)
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == reason
    await model.aclose()


async def test_a_connection_that_is_dropped_before_the_answer(
    dialect: Dialect, provider: Provider, model: Model
) -> None:
    provider.will(Reply(status=0, ending="cut"))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "disconnected"


async def test_a_body_without_end_is_not_kept(
    dialect: Dialect, provider: Provider, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.models.providers.sse.MAX_EVENT_BYTES", 1000)
    monkeypatch.setattr("app.models.providers.ollama.answer.MAX_ANSWER_BYTES", 1000)
    provider.will(Reply([b"x" * 600] * 10))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "broken_answer"


async def test_a_probe_calls_no_model(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(Reply([b"{}"]))
    await model.probe()
    assert provider.received[0].path in ("/v1/models", "/api/show", "/v1/models/claude-test")


@pytest.mark.parametrize("status", [401, 500])
async def test_a_probe_that_fails(dialect: Dialect, provider: Provider, model: Model, status: int) -> None:
    provider.will(dialect.error(status, "no"))
    with pytest.raises(ModelUnavailable):
        await model.probe()


async def test_max_tokens_and_the_system_prompt_are_sent(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.streamed(Script()))
    await whole_answer(model, ask())
    sent = provider.received[0].body
    assert "Be brief." in str(sent)
    assert "'max_tokens': 100" in str(sent) or sent["options"]["num_predict"] == 100


async def test_without_a_system_prompt_none_is_sent(dialect: Dialect, provider: Provider, model: Model) -> None:
    provider.will(dialect.streamed(Script()))
    await whole_answer(model, ModelRequest("", [UserMessage("hello")]))
    assert "system" not in str(provider.received[0].body)


@pytest.mark.parametrize("dialect", [OpenAIDialect(), AnthropicDialect()], ids=["openai", "anthropic"])
async def test_a_cut_tool_call_is_left_out(dialect: Dialect, provider: Provider, model: Model) -> None:
    """Ollama's calls come whole."""
    reply = dialect.streamed(Script(calls=CALLS, out_of_tokens=True))
    whole = [piece for piece in reply.pieces if b"okyo" not in piece]
    provider.will(reply.with_pieces(whole))
    answer = await whole_answer(model, ask())
    assert answer.calls == [CALLS[0]]
    assert answer.end.stop_reason == "max_tokens"


async def test_arguments_that_are_no_object_are_malformed(dialect: Dialect, provider: Provider, model: Model) -> None:
    reply = dialect.streamed(Script(calls=CALLS[:1]))
    whole = reply.whole().replace(b'\\": \\"1 + 2\\"}', b"").replace(b'{"expression": "1 + 2"}', b'"1 + 2"')
    provider.will(reply.with_pieces([whole]))
    answer = await whole_answer(model, ask())
    assert answer.calls[0].arguments == {}
    assert answer.calls[0].malformed in ('{"expression', "1 + 2")
    assert answer.end.stop_reason == "tool_calls"
