"""What only Anthropic does: its real SDK against a server that speaks its protocol."""

import json
from collections.abc import AsyncIterator

import pytest
from opentelemetry import trace

from app.errors import AppError, ContextTooLong, ModelRateLimited, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.anthropic.model import AnthropicModel
from tests.models.dialects import AnthropicDialect, Script
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import CALCULATOR, CLOCK, ask, whole_answer

dialect = AnthropicDialect()


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    yield made
    await made.aclose()


def user(text: str) -> dict[str, object]:
    return {"type": "text", "text": text}


async def test_what_is_sent(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.streamed(Script()))
    calls = (ToolCall("toolu_1", "calculator", {"expression": "1 + 2"}), ToolCall("functions.clock:0", "clock", {}))
    conversation: list[Message] = [
        UserMessage("1 + 2, and the time?"),
        AssistantMessage("Let me see.", calls),
        ToolMessage("toolu_1", "calculator", "3"),
        ToolMessage("functions.clock:0", "clock", "no clock", is_error=True),
    ]
    await whole_answer(model, ModelRequest("Be brief.", conversation, (CALCULATOR, CLOCK), 100))
    request = provider.received[0]
    assert (request.method, request.path) == ("POST", "/v1/messages")
    assert request.headers["authorization"] == "Bearer sk-ant-secret"
    assert request.headers["anthropic-version"] >= "2026-10-21"
    first, second = (
        {"name": tool.name, "description": tool.description, "input_schema": tool.parameters}
        for tool in (CALCULATOR, CLOCK)
    )
    assert request.body == {
        "model": "claude-test",
        "max_tokens": 100,
        "stream": True,
        "system": [{"type": "text", "text": "Be brief."}],
        "tools": [first, second],
        "messages": [
            {"role": "user", "content": [user("1 + 2, and the time?")]},
            {
                "role": "assistant",
                "content": [
                    user("Let me see."),
                    {"type": "tool_use", "id": "toolu_1", "name": "calculator", "input": {"expression": "1 + 2"}},
                    {"type": "tool_use", "id": "functions_clock_0", "name": "clock", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "toolu_1", "content": "3", "is_error": False},
                    {
                        "type": "tool_result",
                        "tool_use_id": "functions_clock_0",
                        "content": "no clock",
                        "is_error": True,
                    },
                ],
            },
        ],
    }


async def test_an_empty_answer_in_the_history_is_left_out(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.streamed(Script()))
    await whole_answer(model, ModelRequest("", [UserMessage("one"), AssistantMessage("\n"), UserMessage("two")]))
    sent = provider.received[0].body
    assert sent["messages"] == [{"role": "user", "content": [user("one"), user("two")]}]
    assert "tools" not in sent


async def test_a_blank_message_is_said_to_be_blank(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.streamed(Script()))
    await whole_answer(model, ask(" \n"))
    assert provider.received[0].body["messages"][0]["content"][0]["text"] == "(a blank message)"


@pytest.mark.parametrize("stream", [True, False])
async def test_cache_tokens_are_input_and_counted(provider: Provider, model: AnthropicModel, stream: bool) -> None:
    script = Script(usage=Usage(1000, 20, cache_read_tokens=700, cache_write_tokens=200))
    provider.will(dialect.streamed(script) if stream else dialect.plain(script))
    answer = await whole_answer(model, ask(stream=stream))
    assert answer.end.usage == Usage(1000, 20, 700, 200)


async def test_the_last_counts_are_right(provider: Provider, model: AnthropicModel) -> None:
    reply = dialect.streamed(Script())
    whole = reply.whole().replace(b'{"output_tokens": 15}', b'{"output_tokens": 99, "input_tokens": 30}')
    provider.will(Reply([whole]))
    assert (await whole_answer(model, ask())).end.usage == Usage(30, 99)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        ("refusal", "refusal"),
        ("content_filter", "content_filter"),
        ("length", "max_tokens"),
        ("brand_new", "stop"),
        ("max_tokens", "max_tokens"),
        ("model_context_window_exceeded", "max_tokens"),
        ("tool_use", "stop"),  # there is no call
    ],
)
async def test_stop_reasons(provider: Provider, model: AnthropicModel, given: str, reason: str) -> None:
    provider.will(Reply([dialect.streamed(Script()).whole().replace(b"end_turn", given.encode())]))
    assert (await whole_answer(model, ask())).end.stop_reason == reason


@pytest.mark.parametrize(
    ("kind", "error", "reason"),
    [
        ("overloaded_error", ModelUnavailable, "shared_overload"),
        ("api_error", ModelUnavailable, "server_error"),
        ("timeout_error", ModelUnavailable, "timeout"),
        ("rate_limit_error", ModelRateLimited, "rate_limited"),
        ("brand_new_error", ModelUnavailable, "server_error"),
        ("request_too_large", ContextTooLong, ""),
    ],
)
async def test_an_error_in_the_midst_of_a_stream(
    provider: Provider, model: AnthropicModel, kind: str, error: type[AppError], reason: str
) -> None:
    reply = dialect.streamed(Script())
    failure = dialect.event(json.dumps({"type": "error", "error": {"type": kind, "message": "Oh no"}}))
    provider.will(Reply([*reply.pieces[:4], failure]))
    with pytest.raises(error) as caught:
        await whole_answer(model, ask())
    assert getattr(caught.value, "reason", "") == reason


async def test_a_request_that_is_too_large(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.error(413, "Request exceeds the maximum size"))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())


async def test_thinking_and_events_yet_to_come_are_not_the_answer(provider: Provider, model: AnthropicModel) -> None:
    odd: list[dict[str, object]] = [
        {"type": "content_block_start", "index": 7, "content_block": {"type": "thinking", "thinking": ""}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "thinking_delta", "thinking": "hm"}},
        {"type": "content_block_delta", "index": 7, "delta": {"type": "signature_delta", "signature": "hm"}},
        {"type": "brand_new", "delta": {"what": "ever"}},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 1}},
    ]
    reply = dialect.streamed(Script())
    provider.will(Reply([*reply.pieces[:2], *(dialect.event(json.dumps(event)) for event in odd), *reply.pieces[2:]]))
    assert (await whole_answer(model, ask())).text == "Hello world."


async def test_a_call_after_the_client_was_closed(provider: Provider) -> None:
    closed = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    await closed.aclose()
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(closed, ask())
    assert caught.value.reason == "unreachable"


async def test_a_plain_answer_without_an_end_is_broken(provider: Provider, model: AnthropicModel) -> None:
    provider.will(Reply([b'{"content": []}']))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask(stream=False))
    assert caught.value.reason == "broken_answer"


async def test_the_sdk_neither_traces_nor_tries_again(
    provider: Provider, model: AnthropicModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []

    class Tracer(trace.NoOpTracer):
        def start_span(self, name: str, *args: object, **kwargs: object) -> trace.Span:
            started.append(name)
            return trace.INVALID_SPAN

    monkeypatch.setattr(trace, "get_tracer", lambda *_, **__: Tracer())
    provider.will(dialect.error(500, "oh no"))
    with pytest.raises(ModelUnavailable):
        await whole_answer(model, ask())
    assert len(provider.received) == 1
    assert not started
    assert "traceparent" not in provider.received[0].headers
