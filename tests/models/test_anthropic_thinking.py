"""Thinking: told beside the answer, and given back to the model that wrote it, in its place and with its signature."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.errors import ModelUnavailable
from app.messages import AssistantMessage, Extras, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import Completion, ModelRequest
from app.models.providers.anthropic.model import MAX_PAUSES, AnthropicModel
from tests.logged import capture_logs
from tests.models.anthropic_events import STOP, began, call, delta, end, plain, start, stopped, stream, text, thinking
from tests.models.dialects import AnthropicDialect
from tests.models.servers import Provider
from tests.models.whole_answer import CLOCK, ask, whole_answer

USED = {"input_tokens": 10, "output_tokens": 50}
REDACTED = {"type": "redacted_thinking", "data": "opaque"}
ANSWER = [
    thinking(0, "hm", "sig"),
    [began(1, **REDACTED), stopped(1)],
    text("Let me see.", 2),
    thinking(3, "so", "sig2"),
    call(4, "t", "clock", "{}"),
]
LAID_OUT = [
    {"type": "thinking", "thinking": "hm", "signature": "sig"},
    REDACTED,
    {"type": "text", "text": "Let me see."},
    {"type": "thinking", "thinking": "so", "signature": "sig2"},
    {"type": "tool_use", "id": "t", "name": "clock", "input": {}},
]


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    yield made
    await made.aclose()


async def heard(model: AnthropicModel, request: ModelRequest) -> tuple[Completion, str, list[tuple[str, str]]]:
    texts: list[str] = []
    beside: list[tuple[str, str]] = []
    completion = await model.generate(request, texts.append, lambda kind, piece: beside.append((kind, piece)))
    return completion, "".join(texts), [(kind, piece) for kind, piece in beside if piece]


def after(answer: AssistantMessage, *results: Message) -> ModelRequest:
    return ModelRequest("", [UserMessage("hello"), answer, *results, UserMessage("on")], (CLOCK,))


async def sent_back(provider: Provider, model: AnthropicModel, answer: AssistantMessage) -> Any:
    """What the model is given of its own answer."""
    provider.will(stream(start(USED), text("Hi"), end(usage=USED), STOP))
    results = [ToolMessage(made.id, made.name, "42") for made in answer.tool_calls]
    await whole_answer(model, after(answer, *results))
    said = [message for message in provider.received[-1].body["messages"] if message["role"] == "assistant"]
    return said[0]["content"] if said else None


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_thinking_goes_back_in_its_place(provider: Provider, model: AnthropicModel, streamed: bool) -> None:
    streams = stream(start(), ANSWER, end("tool_use", USED), STOP)
    provider.will(streams if streamed else plain(LAID_OUT, "tool_use", USED))
    completion, said, beside = await heard(model, ask(stream=streamed))
    assert said == "Let me see."
    assert "".join(piece for kind, piece in beside if kind == "reasoning") == "hmso"
    assert completion.tool_calls == (ToolCall("t", "clock", {}),)
    assert completion.extras is not None
    assert completion.extras.origin == model.ref
    answer = AssistantMessage(said, completion.tool_calls, completion.extras)
    assert await sent_back(provider, model, answer) == LAID_OUT


async def test_thinking_and_arguments_are_told_as_they_come(provider: Provider, model: AnthropicModel) -> None:
    provider.will(
        stream(start(), thinking(0, "hm", "s"), call(1, "t", "x", '{"a"', ": 1}"), end("tool_use", USED), STOP)
    )
    _, _, beside = await heard(model, ask())
    assert beside == [("reasoning", "hm"), ("arguments", '{"a"'), ("arguments", ": 1}")]


async def test_another_model_is_not_given_it(provider: Provider, model: AnthropicModel) -> None:
    extras = Extras("anthropic/other", {"content": LAID_OUT})
    foreign = Extras("openai/x", {"reasoning_content": "hm"})
    for given in (extras, foreign, Extras(model.ref)):
        answer = AssistantMessage("Let me see.", (ToolCall("t", "clock", {}),), given)
        assert await sent_back(provider, model, answer) == [LAID_OUT[2], LAID_OUT[4]]


async def test_an_answer_that_was_shortened_keeps_its_thinking_before_its_calls(
    provider: Provider, model: AnthropicModel
) -> None:
    layout = [LAID_OUT[0], {"type": "text", "chars": 11}, LAID_OUT[3], {"type": "tool_use", "id": "t"}]
    answer = AssistantMessage("Let…", (ToolCall("t", "clock", {}),), Extras(model.ref, {"content": layout}))
    assert await sent_back(provider, model, answer) == [
        LAID_OUT[0],
        LAID_OUT[3],
        {"type": "text", "text": "Let…"},
        LAID_OUT[4],
    ]
    bare = AssistantMessage("Let…", (), Extras(model.ref, {"content": layout}))
    assert (await sent_back(provider, model, bare))[-1] == {"type": "text", "text": "Let…"}


async def test_thinking_alone_is_left_out(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), thinking(0, "hm", "sig"), end("max_tokens", USED), STOP))
    completion, said, _ = await heard(model, ask())
    assert await sent_back(provider, model, AssistantMessage(said, (), completion.extras)) is None


@pytest.mark.parametrize("streamed", [True, False])
async def test_thinking_without_a_signature_is_that_of_servers_that_sign_none(
    provider: Provider, model: AnthropicModel, streamed: bool
) -> None:
    block = {"type": "thinking", "thinking": "hm"}
    events = [began(0, type="thinking", thinking=""), delta(0, thinking="hm"), stopped(0), text("Hi", 1)]
    provider.will(stream(start(), *events, end(), STOP) if streamed else plain([block, {"type": "text", "text": "Hi"}]))
    completion, said, _ = await heard(model, ask(stream=streamed))
    assert await sent_back(provider, model, AssistantMessage(said, (), completion.extras)) == [
        block,
        {"type": "text", "text": "Hi"},
    ]


async def test_thinking_that_was_cut_does_not_go_back(provider: Provider, model: AnthropicModel) -> None:
    events = [began(0, type="thinking", thinking="", signature=""), delta(0, thinking="hm")]
    provider.will(stream(start(), events, text("Hi", 1), end("max_tokens", USED), STOP))
    completion, said, _ = await heard(model, ask())
    assert await sent_back(provider, model, AssistantMessage(said, (), completion.extras)) == [
        {"type": "text", "text": "Hi"}
    ]


async def test_blocks_that_are_not_closed_are_whole_where_others_follow(
    provider: Provider, model: AnthropicModel
) -> None:
    events = [began(0, type="thinking", thinking="hm"), began(1, **REDACTED), began(2, type="text", text="Hi")]
    provider.will(stream(start(), events, end(usage=USED), STOP))
    completion, said, _ = await heard(model, ask())
    assert await sent_back(provider, model, AssistantMessage(said, (), completion.extras)) == [
        {"type": "thinking", "thinking": "hm"},
        REDACTED,
        {"type": "text", "text": "Hi"},
    ]


async def test_nothing_is_kept_of_an_answer_without_thinking(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("Hi"), call(1, "t", "clock"), end("tool_use", USED), STOP))
    completion, _, _ = await heard(model, ask())
    assert (completion.extras, completion.reasoning_tokens, model.reasons) == (None, 0, False)


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({**USED, "output_tokens_details": {"thinking_tokens": 31}}, 31),
        ({**USED, "output_tokens_details": None}, 49),
        (USED, 49),
    ],
)
async def test_how_much_of_the_output_is_thinking(
    provider: Provider, model: AnthropicModel, usage: Any, tokens: int
) -> None:
    provider.will(stream(start(), thinking(0, "hm", "sig"), text("Hi, I am", 1)[1:2], end(usage=usage), STOP))
    assert (await heard(model, ask()))[0].reasoning_tokens in (tokens, tokens - 1)


async def test_a_model_that_was_seen_to_think_has_room_for_it(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), thinking(0, "hm", "sig"), text("Hi", 1), end(usage=USED), STOP))
    for _ in range(2):
        await whole_answer(model, ModelRequest("", [UserMessage("hello")], max_tokens=100, max_reasoning_tokens=900))
    assert [request.body["max_tokens"] for request in provider.received] == [100, 1000]
    assert model.reasons


async def test_thinking_that_the_provider_does_not_take_back_is_left_out(
    provider: Provider, model: AnthropicModel
) -> None:
    """Signed for another key, or by a model that has been replaced: the session goes on."""
    refused = AnthropicDialect().error(400, "messages.1.content.0: Invalid `signature` in `thinking` block")
    provider.will(refused, stream(start(), text("Hi"), end(usage=USED), STOP))
    layout = [LAID_OUT[0], {"type": "text", "chars": 2}]
    answer = AssistantMessage("Hm", (), Extras(model.ref, {"content": layout}))
    with capture_logs() as logs:
        assert (await whole_answer(model, after(answer))).text == "Hi"
    assert [message["content"] for message in provider.received[-1].body["messages"]][1] == [
        {"type": "text", "text": "Hm"}
    ]
    assert [line["event"] for line in logs] == ["model.thinking_refused"]
    provider.will(refused)
    with pytest.raises(ModelUnavailable):
        await whole_answer(model, ask())


SEARCH = {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {"query": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s", "content": []}


async def test_a_paused_answer_goes_on(provider: Provider, model: AnthropicModel) -> None:
    search = [began(1, **{**SEARCH, "input": {}}), delta(1, partial_json='{"query": "x"}'), stopped(1)]
    provider.will(
        stream(start(), text("One. "), search, end("pause_turn", USED), STOP),
        stream(start(), [began(0, **FOUND), stopped(0)], text("Two.", 1), end(usage=USED), STOP),
    )
    completion, said, _ = await heard(model, ask())
    assert (said, completion.stop_reason, completion.usage) == ("One. Two.", "stop", Usage(20, 100))
    first, second = (request.body for request in provider.received)
    assert second["messages"][:-1] == first["messages"]
    assert second["messages"][-1] == {"role": "assistant", "content": [{"type": "text", "text": "One. "}, SEARCH]}
    assert second["max_tokens"] == first["max_tokens"] - 50
    assert completion.extras is not None
    assert await sent_back(provider, model, AssistantMessage(said, (), completion.extras)) == [
        {"type": "text", "text": "One. "},
        SEARCH,
        FOUND,
        {"type": "text", "text": "Two."},
    ]


@pytest.mark.parametrize("output", [1, 60])
async def test_an_answer_that_is_always_paused_ends(provider: Provider, model: AnthropicModel, output: int) -> None:
    used = {"input_tokens": 10, "output_tokens": output}
    provider.will(stream(start(), text("x "), end("pause_turn", used), STOP))
    answer = await whole_answer(model, ask())
    calls = MAX_PAUSES + 1 if output == 1 else 2
    assert len(provider.received) == calls
    assert (answer.end.stop_reason, answer.end.usage) == ("max_tokens", Usage(10 * calls, output * calls))


async def test_ids_that_repeat_in_a_conversation_are_told_apart(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("Hi"), end(usage=USED), STOP))
    turn: list[Message] = [
        UserMessage("the time?"),
        AssistantMessage("", (ToolCall("call.0", "my.clock", {}), ToolCall("call:0", "clock", {}))),
        ToolMessage("call.0", "my.clock", "1"),
        ToolMessage("call:0", "clock", "2"),
    ]
    await whole_answer(model, ModelRequest("", [*turn, *turn], (CLOCK,)))
    messages = provider.received[0].body["messages"]
    calls = [block for message in messages for block in message["content"] if block["type"] == "tool_use"]
    results = [block for message in messages for block in message["content"] if block["type"] == "tool_result"]
    assert [block["id"] for block in calls] == [block["tool_use_id"] for block in results]
    assert len({block["id"] for block in calls}) == 4
    assert calls[0]["name"] == "my_clock"
    assert "extras" not in json.dumps(messages)
