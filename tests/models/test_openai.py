"""What only OpenAI-compatible servers do."""

import pytest

from app.errors import ModelRateLimited, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, Usage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from app.models.providers.openai.request import encode_request
from tests.logged import capture_logs
from tests.models.dialects import OpenAIDialect, Script, dump
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import CALCULATOR, ask, whole_answer

dialect = OpenAIDialect()


@pytest.fixture
def model(provider: Provider, http: Http) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", "sk-secret", http)


def stream(*data: str, ending: str = "data: [DONE]\n\n") -> Reply:
    return Reply([f"data: {piece}\n\n".encode() for piece in data] + [ending.encode()])


def chunk(delta: str = "{}", finish: str = "null", rest: str = "") -> str:
    return f'{{"choices": [{{"index": 0, "delta": {delta}, "finish_reason": {finish}}}]{rest}}}'


async def test_what_is_sent(provider: Provider, model: OpenAIModel) -> None:
    provider.will(dialect.streamed(Script()))
    conversation: list[Message] = [
        UserMessage("1 + 2?"),
        AssistantMessage("", (ToolCall("c1", "calculator", {"expression": "1 + 2"}),)),
        ToolMessage("c1", "calculator", "3"),
    ]
    await whole_answer(model, ModelRequest("Be brief.", conversation, (CALCULATOR,), 100))
    request = provider.received[0]
    assert (request.method, request.path) == ("POST", "/v1/chat/completions")
    assert request.headers["authorization"] == "Bearer sk-secret"
    assert request.body == {
        "model": "m",
        "max_tokens": 100,
        "stream": True,
        "stream_options": {"include_usage": True},
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "1 + 2?"},
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c1",
                        "type": "function",
                        "function": {"name": "calculator", "arguments": '{"expression":"1 + 2"}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "c1", "content": "3"},
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


async def test_without_a_key_none_is_sent(provider: Provider, http: Http) -> None:
    provider.will(dialect.streamed(Script()))
    await whole_answer(OpenAIModel("m", f"{provider.url}/v1", None, http), ask())
    assert "authorization" not in provider.received[0].headers


@pytest.mark.parametrize(
    ("base_url", "field"),
    [
        ("https://api.openai.com/v1", "max_completion_tokens"),
        ("https://eu.api.openai.com/v1", "max_completion_tokens"),
        ("http://vllm:8000/v1", "max_tokens"),
    ],
)
def test_openai_itself_wants_another_name_for_max_tokens(http: Http, base_url: str, field: str) -> None:
    model = OpenAIModel("m", base_url, None, http)
    assert f'"{field}":100'.encode() in encode_request(ask(), "m", "openai/m", (model._max_tokens_field, 100))


async def test_cached_tokens_are_counted(provider: Provider, model: OpenAIModel) -> None:
    usage = (
        ', "usage": {"prompt_tokens": 100, "completion_tokens": 5,'
        ' "prompt_tokens_details": {"cached_tokens": 64, "cache_write_tokens": 20}}'
    )
    provider.will(stream(chunk('{"content": "x"}', '"stop"', usage)))
    assert (await whole_answer(model, ask())).end.usage == Usage(100, 5, 64, 20)


async def test_missing_usage_is_estimated_and_warned_of_once(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk('{"content": "four tokens or so"}', '"stop"')))
    with capture_logs() as logs:
        first = await whole_answer(model, ask())
        await whole_answer(model, ask())
    assert first.end.usage.output_tokens == 5
    assert first.end.usage.input_tokens > 5
    assert [entry["event"] for entry in logs] == ["model.usage_missing"]


async def test_missing_usage_with_tool_calls_is_estimated(provider: Provider, model: OpenAIModel) -> None:
    call = '{"tool_calls": [{"index": 0, "id": "c", "function": {"name": "calculator", "arguments": "{\\"a\\": 1}"}}]}'
    provider.will(stream(chunk(call, '"tool_calls"')))
    with capture_logs():
        answer = await whole_answer(model, ask(tools=(CALCULATOR,)))
    assert answer.end.usage.output_tokens == 2
    assert answer.end.usage.input_tokens > 20


async def test_calls_without_index_or_id_are_told_apart(provider: Provider, model: OpenAIModel) -> None:
    """As some servers send them: every call whole."""
    provider.will(
        stream(
            chunk('{"tool_calls": [{"id": "a", "function": {"name": "one", "arguments": "{\\"x\\":"}}]}'),
            chunk('{"tool_calls": [{"function": {"arguments": " 1}"}}]}'),
            chunk('{"tool_calls": [{"id": "b", "function": {"name": "two", "arguments": "{}"}}]}', '"stop"'),
        )
    )
    with capture_logs():
        answer = await whole_answer(model, ask())
    assert answer.calls == [ToolCall("a", "one", {"x": 1}), ToolCall("b", "two", {})]
    assert answer.end.stop_reason == "tool_calls"


async def test_a_call_without_an_id_is_given_one(provider: Provider, model: OpenAIModel) -> None:
    call = (
        '{"tool_calls": [{"index": 0, "id": "", "function": {"name": "a"}}, {"index": 1, "function": {"name": "b"}}]}'
    )
    provider.will(stream(chunk(call, '"tool_calls"')))
    with capture_logs():
        answer = await whole_answer(model, ask())
    assert answer.calls[0].id.startswith("call_")
    assert answer.calls[0].id != answer.calls[1].id


async def test_reasoning_is_not_the_answer(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk('{"reasoning_content": "hm"}'), chunk('{"content": "42", "reasoning": "hm"}', '"stop"')))
    with capture_logs():
        assert (await whole_answer(model, ask())).text == "42"


async def test_a_refusal_is_said(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk('{"refusal": "I can not."}'), chunk(finish='"content_filter"')))
    with capture_logs():
        answer = await whole_answer(model, ask())
    assert answer.text == "I can not."
    assert answer.end.stop_reason == "refusal"


ENDINGS = ["", "data:[DONE]\n\n", "data: [DONE]\r\n\r\n", "data: [DONE]\n", ": bye\n\ndata: [DONE]"]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_endings_of_a_stream(provider: Provider, model: OpenAIModel, ending: str) -> None:
    provider.will(stream(chunk('{"content": "x"}'), chunk(finish='"stop"'), ending=ending))
    with capture_logs():
        assert (await whole_answer(model, ask())).text == "x"


async def test_a_chunk_without_a_delta_is_skipped(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk("null"), chunk('{"content": "x"}', '"stop"'), '{"id": "only"}'))
    with capture_logs():
        assert (await whole_answer(model, ask())).text == "x"


async def test_done_without_a_finish_reason_is_an_end(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk('{"content": "x"}')))
    with capture_logs():
        assert (await whole_answer(model, ask())).end.stop_reason == "stop"


async def test_done_without_anything_is_a_cut_stream(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream())
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == "cut_stream"


async def test_a_server_that_does_not_close_after_done_is_not_waited_for(
    provider: Provider, model: OpenAIModel
) -> None:
    provider.will(dialect.streamed(Script()).ending_with("silent"))
    assert (await whole_answer(model, ask())).text == "Hello world."
    await provider.left.wait()


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        ('{"message": "oops", "code": 500}', ModelUnavailable, "server_error"),
        ('{"message": "oops", "code": "503"}', ModelUnavailable, "overloaded"),
        ('{"message": "oops", "code": 429}', ModelRateLimited, "rate_limited"),
        ('{"message": "oops", "code": "rate_limit_exceeded"}', ModelRateLimited, "rate_limited"),
        ('{"message": "oops", "code": null}', ModelUnavailable, "server_error"),
        ('{"message": "oops", "code": "7"}', ModelUnavailable, "server_error"),
        ('"oops"', ModelUnavailable, "server_error"),
    ],
)
async def test_an_error_in_the_midst_of_a_stream(
    provider: Provider,
    model: OpenAIModel,
    error: str,
    kind: type[ModelUnavailable | ModelRateLimited],
    reason: str,
) -> None:
    provider.will(stream(chunk('{"content": "x"}'), f'{{"error": {error}}}'))
    with pytest.raises(kind) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == reason
    assert "oops" in caught.value.words


async def test_a_server_without_a_list_of_models_is_alive(provider: Provider, model: OpenAIModel) -> None:
    provider.will(dialect.error(404, "what?"))
    await model.probe()


async def test_a_plain_answer_without_choices_is_broken(provider: Provider, model: OpenAIModel) -> None:
    provider.will(Reply([dump({"choices": []}).encode()]))
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask(stream=False))
    assert caught.value.reason == "broken_answer"
