"""Reasoning of models behind OpenAI-compatible servers: told beside the answer, and sent back to its own model."""

from typing import Any

import msgspec
import pytest

from app.messages import AssistantMessage, Extras, Message, UserMessage
from app.models.options import ModelOptions
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from tests.models.openai_server import ONE_JSON, USAGE, ask, call, chunk, says, stream, whole
from tests.models.servers import Provider, Reply


@pytest.fixture
def model(provider: Provider, http: Http) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", None, http)


def made(**fields: Any) -> dict[str, Any]:
    return {"tool_calls": [{"index": 0, "id": "a", "type": "function", **call(ONE_JSON), **fields}]}


async def sent_back(provider: Provider, model: OpenAIModel, reply: Reply, *, streamed: bool = True) -> dict[str, Any]:
    """The message with a call, as the model is given it again; other models are given none of its reasoning."""
    provider.will(reply, says("Done.") if streamed else whole({"content": "Done."}))
    heard = await ask(model, stream=streamed)
    assert heard.text == ""
    conversation = [UserMessage("hello"), *heard.messages()]
    await ask(model, conversation, stream=streamed)
    provider.will(says("Done."))
    http = Http(silence_seconds=5)
    await ask(OpenAIModel("other", f"{provider.url}/v1", None, http), conversation)
    await http.aclose()
    own, others = (request.body["messages"][2] for request in provider.received[1:])
    assert set(others) == {"role", "content", "tool_calls"}
    assert set(others["tool_calls"][0]) == {"id", "type", "function"}
    message: dict[str, Any] = own
    return message


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
async def test_text(provider: Provider, model: OpenAIModel, name: str) -> None:
    reply = stream(chunk({name: "h"}), chunk({name: "m"}), chunk({name: None, **made()}), chunk(finish="tool_calls"))
    message = await sent_back(provider, model, reply)
    assert message[name] == "hm"
    assert set(message) == {"role", "content", "tool_calls", name}


async def test_text_of_a_whole_answer(provider: Provider, model: OpenAIModel) -> None:
    reply = whole({"content": None, "reasoning_content": "hm", **made()}, "tool_calls")
    assert (await sent_back(provider, model, reply, streamed=False))["reasoning_content"] == "hm"


async def test_a_signature_on_a_call(provider: Provider, model: OpenAIModel) -> None:
    """Gemini's, by https://ai.google.dev/gemini-api/docs/thought-signatures"""
    signature = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
    message = await sent_back(provider, model, stream(chunk(made(extra_content=signature)), chunk(finish="stop")))
    assert message["tool_calls"][0]["extra_content"] == signature
    assert message["tool_calls"][0]["id"] == "a"


async def test_a_signature_on_a_message(provider: Provider, model: OpenAIModel) -> None:
    signature = {"google": {"thought_signature": "c2lnbmF0dXJl"}}
    message = await sent_back(provider, model, stream(chunk({"extra_content": signature, **made()}, "tool_calls")))
    assert message["extra_content"] == signature


async def test_details(provider: Provider, model: OpenAIModel) -> None:
    """OpenRouter's: https://openrouter.ai/docs/use-cases/reasoning-tokens"""

    def detail(kind: str, index: int | None = 0, **fields: Any) -> dict[str, Any]:
        place = {} if index is None else {"index": index}
        return {"reasoning_details": [{"type": f"reasoning.{kind}", "format": "x", **place, **fields}]}

    reply = stream(
        chunk({"reasoning": "Let ", **detail("text", text="Let ")}),
        chunk({"reasoning": "me", **detail("text", text="me", signature=None)}),
        chunk(detail("text", signature="sig")),
        chunk(detail("summary", 1, summary="a")),
        chunk(detail("summary", 1, summary="b")),
        chunk(detail("encrypted", 0, data="QUJD", id="r1")),
        chunk(made(), "tool_calls"),
    )
    message = await sent_back(provider, model, reply)
    assert message["reasoning"] == "Let me"
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "format": "x", "index": 0, "text": "Let me", "signature": "sig"},
        {"type": "reasoning.summary", "format": "x", "index": 1, "summary": "ab"},
        {"type": "reasoning.encrypted", "format": "x", "index": 0, "data": "QUJD", "id": "r1"},
    ]


async def test_details_without_index(provider: Provider, model: OpenAIModel) -> None:
    details = [
        {"type": "reasoning.text", "text": "a"},
        {"type": "reasoning.text", "text": "b", "signature": "s"},
        {"type": "reasoning.text", "text": "c"},
        {"type": "reasoning.encrypted", "data": "X"},
        {"type": "reasoning.encrypted", "data": "Y"},
    ]
    reply = stream(*(chunk({"reasoning_details": [detail]}) for detail in details), chunk(made(), "tool_calls"))
    message = await sent_back(provider, model, reply)
    assert message["reasoning_details"] == [
        {"type": "reasoning.text", "text": "ab", "signature": "s"},
        *details[2:],
    ]


async def test_blocks(provider: Provider, model: OpenAIModel) -> None:
    """LiteLLM's for Anthropic, of which the last piece has the signature."""
    pieces: list[dict[str, Any]] = [
        {"type": "thinking", "thinking": "h", "signature": None},
        {"type": "thinking", "thinking": "m", "signature": None},
        {"type": "thinking", "thinking": "", "signature": "sig"},
        {"type": "redacted_thinking", "data": "X"},
    ]
    deltas = [{"reasoning_content": piece.get("thinking"), "thinking_blocks": [piece]} for piece in pieces]
    message = await sent_back(provider, model, stream(*map(chunk, deltas), chunk(made(), "tool_calls")))
    assert message["thinking_blocks"] == [{"type": "thinking", "thinking": "hm", "signature": "sig"}, pieces[3]]
    assert message["reasoning_content"] == "hm"


async def test_parts_of_content(provider: Provider, model: OpenAIModel) -> None:
    """Mistral's: https://docs.mistral.ai/capabilities/reasoning"""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    message = await sent_back(provider, model, stream(chunk({"content": [thinking]}), chunk(made(), "tool_calls")))
    assert message["content"] == [thinking]


async def test_reasoning_is_told_and_is_no_answer(provider: Provider, model: OpenAIModel) -> None:
    usage = {**USAGE, "completion_tokens": 50, "completion_tokens_details": {"reasoning_tokens": 40}}
    deltas = [{"reasoning_content": "h"}, {"reasoning_content": "m", "content": ""}, {"content": "42"}]
    provider.will(stream(*map(chunk, deltas), chunk(finish="stop"), usage=usage))
    assert not model.reasons
    heard = await ask(model)
    assert (heard.reasoning, heard.texts) == (["h", "m"], ["42"])
    assert heard.completion.reasoning_tokens == 40
    assert heard.completion.usage.output_tokens == 50
    assert heard.completion.extras == Extras("openai/m", {"reasoning_content": "hm"})
    assert model.reasons


async def test_reasoning_that_nobody_counts_is_estimated(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk({"reasoning": "x" * 400}), chunk({"content": "y" * 40}, "stop"), usage=None))
    completion = (await ask(model)).completion
    assert completion.reasoning_tokens == 100
    assert completion.usage.output_tokens == 110


async def test_the_same_text_in_two_fields_is_told_once(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk({"reasoning": "hm", "reasoning_content": "hm"}), chunk({"content": "x"}, "stop")))
    assert (await ask(model)).reasoning == ["hm"]


TAGGED = ["<think>hm</think>\n\nHi", "<think>\nhm\n</think>Hi", "<thinking>hm</thinking> Hi", "[THINK]hm[/THINK]Hi"]


@pytest.mark.parametrize("text", TAGGED)
@pytest.mark.parametrize("size", [1, 3, 100])
async def test_tags_in_the_text(provider: Provider, model: OpenAIModel, text: str, size: int) -> None:
    provider.will(says(*(text[at : at + size] for at in range(0, len(text), size))))
    heard = await ask(model)
    assert ("".join(heard.reasoning).strip(), "".join(heard.texts)) == ("hm", "Hi")
    assert model.reasons
    provider.will(whole({"content": text}))
    heard = await ask(model, stream=False)
    assert ("".join(heard.reasoning).strip(), heard.text) == ("hm", "Hi")


async def test_an_opening_tag_in_the_prompt_is_learned(provider: Provider, model: OpenAIModel) -> None:
    """The first time some of it is told as answer, as nobody can know; then the answer itself has none."""
    provider.will(says("h", "m", "</think>", "\n\nHi"))
    first = await ask(model)
    assert first.text == "Hi"
    assert first.completion.text == "Hi"
    second = await ask(model)
    assert (second.reasoning, second.texts, second.completion.text) == (["hm"], ["Hi"], None)
    provider.will(says("No ", "tag."))
    assert (await ask(model)).texts == ["No tag."]
    assert (await ask(model)).texts == ["No ", "tag."]


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("deepseek-r1:8b", ModelOptions()),
        ("QwQ-32B", ModelOptions()),
        ("MiniMaxAI/MiniMax-M2.1", ModelOptions()),
        ("nvidia/Nemotron-3-Nano-30B", ModelOptions()),
        ("Qwen/Qwen3.5-9B", ModelOptions()),
        ("m", ModelOptions(reasons=True)),
    ],
)
async def test_an_opening_tag_in_the_prompt_is_expected_of_some(
    provider: Provider, http: Http, name: str, options: ModelOptions
) -> None:
    provider.will(says("h", "m</th", "ink>Hi"))
    heard = await ask(OpenAIModel(name, f"{provider.url}/v1", None, http, options))
    assert (heard.reasoning, heard.texts) == (["hm"], ["Hi"])


async def test_a_whole_answer_whose_opening_tag_is_in_the_prompt(provider: Provider, model: OpenAIModel) -> None:
    provider.will(whole({"content": "hm</think>Hi"}))
    heard = await ask(model, stream=False)
    assert heard.text == "Hi"


async def test_where_the_server_tells_reasoning_apart_tags_are_text(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk({"reasoning": "hm"}), chunk({"content": "<think> is a tag"}), chunk(finish="stop")))
    assert (await ask(model)).text == "<think> is a tag"


async def test_reasoning_has_its_own_bound_once_it_is_known(provider: Provider, model: OpenAIModel) -> None:
    def more(request: Any) -> Any:
        return msgspec.structs.replace(request, max_reasoning_tokens=1000)

    provider.will(stream(chunk({"reasoning": "hm"}), chunk({"content": "x"}, "stop")))
    for expected in (100, 1100):
        await ask(model, change=more)
        assert provider.received[-1].body["max_tokens"] == expected


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("gpt-5.6", ModelOptions(), True),
        ("openai/o3-mini", ModelOptions(), True),
        ("gpt-oss:20b", ModelOptions(), True),
        ("deepseek-reasoner", ModelOptions(), True),
        ("gpt-5-chat-latest", ModelOptions(), False),
        ("gpt-4o", ModelOptions(), False),
        ("llama3.1", ModelOptions(), False),
        ("gpt-5.6", ModelOptions(reasons=False), False),
        ("gpt-4o", ModelOptions(reasons=True), True),
    ],
)
def test_some_are_known_by_name_to_reason(http: Http, name: str, options: ModelOptions, expected: bool) -> None:
    assert OpenAIModel(name, "http://vllm/v1", None, http, options).reasons is expected


async def test_text_that_is_held_back_at_the_end_is_told(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk({"content": "<th"})))
    assert (await ask(model)).text == "<th"


async def test_what_is_not_for_providers_is_not_sent(provider: Provider, model: OpenAIModel) -> None:
    provider.will(says("Hi"))
    foreign = Extras("anthropic/x", {"thinking": "secret"}, {"a": {"signature": "secret"}})
    conversation: list[Message] = [
        UserMessage("hello"),
        AssistantMessage("Half an answ", extras=foreign, interrupted=True),
        UserMessage("go on"),
        AssistantMessage("", interrupted=True),
        UserMessage("go on!"),
    ]
    await ask(model, conversation)
    assert provider.received[0].body["messages"][1:] == [
        {"role": "user", "content": "hello"},
        {"role": "assistant", "content": "Half an answ"},
        {"role": "user", "content": "go on"},
        {"role": "user", "content": "go on!"},
    ]
