"""What only Ollama does; `test_ollama_server.py` asks a real one."""

from collections.abc import Mapping
from typing import Any

import pytest

from app.errors import ContextTooLong, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.http import Http
from app.models.providers.ollama.model import OllamaModel
from tests.logged import capture_logs
from tests.models.dialects import NUM_CTX, OllamaDialect, Script, dump
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import CALCULATOR, ask, whole_answer

dialect = OllamaDialect()
NO_TOOLS = "registry.ollama.ai/library/gemma:2b does not support tools"


@pytest.fixture
def model(provider: Provider, http: Http) -> OllamaModel:
    return OllamaModel("qwen2.5:3b", provider.url, NUM_CTX, "5m", http)


def lines(*values: Mapping[str, Any]) -> Reply:
    return Reply([dialect.event(dump(value)) for value in values])


@pytest.mark.parametrize(("text", "sent"), [("-1", -1), ("0", 0), ("300", 300), ("1h30m", "1h30m")])
async def test_seconds_are_sent_as_a_number(provider: Provider, http: Http, text: str, sent: object) -> None:
    """Ollama reads a text without a unit as no duration."""
    provider.will(dialect.streamed(Script()))
    model = OllamaModel("qwen2.5:3b", provider.url, NUM_CTX, text, http)
    await whole_answer(model, ModelRequest("", [UserMessage("hi")], (), 100))
    assert provider.received[0].body["keep_alive"] == sent


async def test_what_is_sent(provider: Provider, model: OllamaModel) -> None:
    provider.will(dialect.streamed(Script()))
    conversation: list[Message] = [
        UserMessage("1 + 2?"),
        AssistantMessage("", (ToolCall("c1", "calculator", {"expression": "1 + 2"}),)),
        ToolMessage("c1", "calculator", "3"),
    ]
    await whole_answer(model, ModelRequest("Be brief.", conversation, (CALCULATOR,), 100))
    request = provider.received[0]
    assert (request.method, request.path) == ("POST", "/api/chat")
    function = {"index": 0, "name": "calculator", "arguments": {"expression": "1 + 2"}}
    assert request.body == {
        "model": "qwen2.5:3b",
        "stream": True,
        "truncate": False,
        "shift": False,
        "keep_alive": "5m",
        "options": {"num_ctx": NUM_CTX, "num_predict": 100},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1 + 2?"},
            {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", "function": function}]},
            {"role": "tool", "tool_name": "calculator", "tool_call_id": "c1", "content": "3"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "calculator",
                    "description": "Work out an expression.",
                    "parameters": CALCULATOR.parameters,
                },
            }
        ],
    }


@pytest.mark.parametrize("stream", [True, False])
async def test_a_prompt_that_an_old_server_cut_is_an_error(
    provider: Provider, model: OllamaModel, stream: bool
) -> None:
    script = Script(usage=Usage(NUM_CTX, 3))
    provider.will(dialect.streamed(script) if stream else dialect.plain(script))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask(stream=stream))


async def test_a_prompt_that_just_fits_is_fine(provider: Provider, model: OllamaModel) -> None:
    provider.will(dialect.streamed(Script(usage=Usage(NUM_CTX - 1, 3))))
    assert (await whole_answer(model, ask())).text


@pytest.mark.parametrize("stream", [True, False])
async def test_a_model_that_takes_no_tools_is_called_without_them(
    provider: Provider, model: OllamaModel, stream: bool
) -> None:
    answer = dialect.streamed(Script()) if stream else dialect.plain(Script())
    provider.will(dialect.error(400, NO_TOOLS), answer)
    with capture_logs() as logs:
        for _ in range(2):
            assert (await whole_answer(model, ask(tools=(CALCULATOR,), stream=stream))).text == "Hello world."
    assert ["tools" in request.body for request in provider.received] == [True, False, False]
    assert [entry["event"] for entry in logs] == ["model.request_changed"]


async def test_the_same_refusal_without_tools_is_an_error(provider: Provider, model: OllamaModel) -> None:
    provider.will(dialect.error(400, NO_TOOLS))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "bad_request"


async def test_a_missing_model_is_to_be_pulled(provider: Provider, model: OllamaModel) -> None:
    provider.will(dialect.error(404, "model 'qwen2.5:3b' not found"))
    for attempt in (whole_answer(model, ask()), model.probe()):
        with pytest.raises(ModelUnavailable, match=r"ollama pull qwen2\.5:3b"):
            await attempt


async def test_thinking_is_not_the_answer(provider: Provider, model: OllamaModel) -> None:
    thinking = {"message": {"role": "assistant", "content": "", "thinking": "hm"}, "done": False}
    last = {"message": {"content": "42"}, "done": True, "prompt_eval_count": 5, "eval_count": 9}
    provider.will(lines(thinking, last))
    answer = await whole_answer(model, ask())
    assert answer.text == "42"
    assert answer.end.usage == Usage(5, 9)


async def test_an_error_in_the_midst_of_a_stream(provider: Provider, model: OllamaModel) -> None:
    provider.will(lines({"message": {"content": "x"}}, {"error": "model runner has unexpectedly stopped"}))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "server_error"
    assert "unexpectedly stopped" in caught.value.words


async def test_a_prompt_found_too_long_in_the_midst_of_a_stream(provider: Provider, model: OllamaModel) -> None:
    provider.will(lines({"error": "the input length exceeds the context length"}))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())


async def test_calls_without_ids_are_given_some(provider: Provider, model: OllamaModel) -> None:
    """As servers before 0.12 send them; a call's arguments may be text, too."""
    functions = [{"name": "clock", "arguments": {}}, {"name": "clock", "arguments": '{"zone": "UTC"}'}]
    calls = [{"function": function} for function in functions]
    provider.will(lines({"message": {"content": "", "tool_calls": calls}}, {"done": True, "prompt_eval_count": 5}))
    answer = await whole_answer(model, ask())
    assert [call.arguments for call in answer.calls] == [{}, {"zone": "UTC"}]
    assert len({call.id for call in answer.calls}) == 2


async def test_arguments_of_another_type_are_malformed(provider: Provider, model: OllamaModel) -> None:
    calls = [{"function": {"name": "clock", "arguments": ["UTC"]}}]
    provider.will(lines({"message": {"tool_calls": calls}}, {"done": True, "prompt_eval_count": 5}))
    assert (await whole_answer(model, ask())).calls[0].malformed == '["UTC"]'


async def test_a_prompt_that_is_not_counted_is_estimated(provider: Provider, model: OllamaModel) -> None:
    provider.will(lines({"message": {"content": "x"}}, {"done": True, "eval_count": 1}))
    assert (await whole_answer(model, ask("word " * 100))).end.usage.input_tokens > 100


async def test_a_last_line_without_its_end_is_cut(provider: Provider, model: OllamaModel) -> None:
    reply = dialect.streamed(Script())
    provider.will(Reply([*reply.pieces[:-1], reply.pieces[-1].rstrip(b"\n}")]))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "cut_stream"
