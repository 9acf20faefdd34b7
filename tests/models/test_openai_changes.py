"""What a server refuses is left out or changed, remembered, and warned of once."""

from typing import Any

import msgspec
import pytest

from app.errors import ContextTooLong, ModelRateLimited, ModelUnavailable
from app.messages import Message, ToolCall, UserMessage
from app.models.options import ModelOptions
from app.models.protocol import ToolSpec
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from tests.logged import capture_logs
from tests.models.openai_server import ask, chunk, conversation_with, refuses, says, stream, whole
from tests.models.servers import Provider, Reply

CALL = ToolCall("call_1", "calculator", {"expression": "1+2"})
NO_TOOLS = refuses(400, {"error": {"message": "m does not support tools"}})
NO_STREAM_OPTIONS = refuses(
    422, {"detail": [{"loc": ["body", "stream_options"], "msg": "Extra inputs are not permitted"}]}
)
RENAMED = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead."
NO_MAX_TOKENS = refuses(400, {"error": {"message": RENAMED, "param": "max_tokens"}})


@pytest.fixture
def model(provider: Provider, http: Http) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", None, http)


def with_options(provider: Provider, http: Http, **options: Any) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", None, http, ModelOptions(**options))


async def test_it_is_sent_again_remembered_and_warned_of_once(provider: Provider, model: OpenAIModel) -> None:
    provider.will(NO_TOOLS, says("Hi"))
    with capture_logs() as logs:
        assert (await ask(model)).text == "Hi"
        assert (await ask(model)).text == "Hi"
    assert ["tools" in request.body for request in provider.received] == [True, False, False]
    assert logs == [
        {
            "event": "model.request_changed",
            "model": "openai/m",
            "changes": ["without tool_choice", "without tools"],
            "log_level": "warning",
        }
    ]


async def test_one_after_the_other(provider: Provider, model: OpenAIModel) -> None:
    provider.will(NO_STREAM_OPTIONS, NO_MAX_TOKENS, NO_TOOLS, says("Hi"))
    assert (await ask(model)).text == "Hi"
    assert len(provider.received) == 4
    sent = provider.received[-1].body
    assert sent.keys() == {"model", "messages", "stream", "max_completion_tokens"}
    assert sent["max_completion_tokens"] == 100


async def test_a_plain_call_learns_too(provider: Provider, model: OpenAIModel) -> None:
    provider.will(NO_MAX_TOKENS, whole({"content": "Hi"}))
    assert (await ask(model, stream=False)).text == "Hi"


async def test_a_change_that_does_not_help_is_not_remembered(provider: Provider, model: OpenAIModel) -> None:
    provider.will(NO_TOOLS, refuses(400, {"error": {"message": "what is this"}}), says("Hi"))
    with pytest.raises(ModelUnavailable):
        await ask(model)
    await ask(model)
    assert "tools" in provider.received[-1].body


async def test_tries_are_bounded(provider: Provider, http: Http) -> None:
    names = [f"p{number}" for number in range(20)]
    model = with_options(provider, http, parameters=dict.fromkeys(names, 1))
    provider.will(
        *(refuses(400, {"error": {"message": f"Unknown parameter: '{name}'", "param": name}}) for name in names)
    )
    with pytest.raises(ModelUnavailable):
        await ask(model)
    assert len(provider.received) == 6


async def test_other_errors_are_not_answered_by_another_try(provider: Provider, model: OpenAIModel) -> None:
    provider.will(refuses(429, {"error": {"message": "slow down; tools are not supported"}}))
    with pytest.raises(ModelRateLimited):
        await ask(model)
    assert len(provider.received) == 1


@pytest.mark.parametrize(
    "reply",
    [
        refuses(200, {"error": {"message": "m does not support tools", "code": 400}}),
        stream({"error": {"message": "m does not support tools", "code": 400}}, usage=None),
        refuses(404, {"error": {"message": "No endpoints found that support tool use.", "code": 404}}),
        refuses(500, {"error": {"code": 500, "message": "tools param requires --jinja flag"}}),
    ],
)
async def test_however_the_refusal_comes(provider: Provider, model: OpenAIModel, reply: Reply) -> None:
    provider.will(reply, says("Hi"))
    assert (await ask(model)).text == "Hi"


async def test_what_was_told_is_not_asked_for_again(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(chunk({"content": "Hal"}), {"error": {"message": "m does not support tools", "code": 400}}))
    with pytest.raises(ModelUnavailable):
        await ask(model)
    assert len(provider.received) == 1


async def test_tools_only_without_effort(provider: Provider, model: OpenAIModel) -> None:
    said = (
        "Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To use function "
    )
    said += "tools, use /v1/responses or set reasoning_effort to 'none'."
    provider.will(refuses(400, {"error": {"message": said, "param": "reasoning_effort"}}), says("Hi"))
    await ask(model)
    await ask(model, tools=False)
    first, second, third = (request.body for request in provider.received)
    assert "reasoning_effort" not in first
    assert second["reasoning_effort"] == "none"
    assert second["tools"]
    assert "reasoning_effort" not in third


async def test_streams_that_are_refused_or_demanded(provider: Provider, model: OpenAIModel) -> None:
    refused = refuses(400, {"error": {"message": "'stream' does not support true with this model.", "param": "stream"}})
    provider.will(refused, whole({"content": "Hi"}))
    assert (await ask(model)).text == "Hi"
    assert provider.received[-1].body["stream"] is False
    assert "stream_options" not in provider.received[-1].body


async def test_a_stream_that_is_demanded(provider: Provider, model: OpenAIModel) -> None:
    provider.will(refuses(400, {"error": {"message": "This model only support stream mode"}}), says("H", "i"))
    assert (await ask(model, stream=False)).text == "Hi"


async def test_a_system_prompt_that_is_refused(provider: Provider, model: OpenAIModel) -> None:
    provider.will(refuses(400, {"message": "System role not supported"}), says("Hi"))
    conversation: list[Message] = [UserMessage("hello"), UserMessage("again")]
    await ask(model, conversation)
    assert provider.received[1].body["messages"] == [{"role": "user", "content": "Be brief.\n\nhello\n\nagain"}]


async def test_without_tools_earlier_calls_are_text(provider: Provider, model: OpenAIModel) -> None:
    """A model with tools may have answered before."""
    provider.will(NO_TOOLS, says("Hi"))
    await ask(model, conversation_with(CALL))
    assert provider.received[1].body["messages"][1:] == [
        {"role": "user", "content": "1 + 2?"},
        {"role": "assistant", "content": '[called calculator with {"expression":"1+2"}]'},
        {"role": "user", "content": "[calculator returned: 3]"},
        {"role": "assistant", "content": "It is 3."},
        {"role": "user", "content": "So?"},
    ]


async def test_calls_without_tools_are_text_where_they_are_refused(provider: Provider, model: OpenAIModel) -> None:
    said = "Requests which include `tool_use` or `tool_result` blocks must define tools"
    provider.will(refuses(400, {"error": {"message": said}}), says("Hi"))
    await ask(model, conversation_with(CALL), tools=False)
    first, second = (request.body["messages"] for request in provider.received)
    assert first[2]["tool_calls"]
    assert "tool_calls" not in str(second)
    await ask(model, conversation_with(CALL))
    assert provider.received[-1].body["messages"][2]["tool_calls"]


async def test_ids_of_nine_characters(provider: Provider, model: OpenAIModel) -> None:
    said = "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."
    provider.will(refuses(400, {"message": said}), says("Hi"))
    await ask(model, conversation_with(CALL, ToolCall("abcdefghi", "clock", {})))
    messages = provider.received[1].body["messages"]
    ids = [call["id"] for call in messages[2]["tool_calls"]]
    assert ids[1] == "abcdefghi"
    assert len(ids[0]) == 9
    assert ids[0].isalnum()
    assert ids == [message["tool_call_id"] for message in messages[3:5]]


async def test_reasoning_that_is_missing_in_calls_of_other_models(provider: Provider, model: OpenAIModel) -> None:
    said = "The `reasoning_content` in the thinking mode must be passed back to the API."
    provider.will(refuses(400, {"error": {"message": said}}), says("Hi"))
    await ask(model, conversation_with(CALL))
    assert provider.received[1].body["messages"][2]["reasoning_content"] == " "


async def test_a_signature_that_is_missing_in_calls_of_other_models(provider: Provider, model: OpenAIModel) -> None:
    said = "Function call is missing a thought_signature in functionCall parts."
    provider.will(refuses(400, [{"error": {"code": 400, "message": said, "status": "INVALID_ARGUMENT"}}]), says("Hi"))
    await ask(model, conversation_with(CALL, CALL))
    made = provider.received[1].body["messages"][2]["tool_calls"]
    assert made[0]["extra_content"] == {"google": {"thought_signature": "skip_thought_signature_validator"}}
    assert "extra_content" not in made[1]


async def test_reasoning_that_is_refused(provider: Provider, model: OpenAIModel) -> None:
    said = "'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
    said += "'reasoning_content' is unsupported)]"
    provider.will(
        stream(chunk({"reasoning_content": "hm"}), chunk({"content": "x"}, "stop")),
        refuses(400, {"error": {"message": said}}),
        says("Hi"),
    )
    heard = await ask(model)
    assert (await ask(model, [UserMessage("hello"), *heard.messages(), UserMessage("so?")])).text == "Hi"
    assert "reasoning_content" in str(provider.received[1].body)
    assert "reasoning_content" not in str(provider.received[2].body)


async def test_schemas_of_few_words(provider: Provider, model: OpenAIModel) -> None:
    parameters = {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "zone": {"anyOf": [{"type": "null"}, {"type": "string", "maxLength": 64}], "description": "IANA"},
            "days": {"type": "array", "items": {"type": "integer", "minimum": 0}, "default": []},
        },
        "required": ["zone"],
    }
    said = "Unknown name \"additionalProperties\" at 'tools[0].function_declarations[0].parameters': Cannot find field."
    provider.will(refuses(400, [{"error": {"code": 400, "message": said}}]), says("Hi"))
    tools = (ToolSpec("clock", "The time.", parameters),)
    await ask(model, change=lambda request: msgspec.structs.replace(request, tools=tools))
    first, second = (request.body["tools"][0]["function"]["parameters"] for request in provider.received)
    assert first == parameters
    assert second == {
        "type": "object",
        "properties": {
            "zone": {"type": "string", "description": "IANA"},
            "days": {"type": "array", "items": {"type": "integer"}},
        },
        "required": ["zone"],
    }


async def test_a_window_that_the_server_tells(provider: Provider, model: OpenAIModel) -> None:
    said = (
        "'max_tokens' or 'max_completion_tokens' is too large: 100. This model's maximum context length is 300 tokens "
    )
    said += "and your request has 240 input tokens (100 > 300 - 240)."
    provider.will(refuses(400, {"error": {"message": said, "param": "max_tokens"}}), says("Hi"))
    with capture_logs() as logs:
        assert (await ask(model)).text == "Hi"
    assert provider.received[1].body["max_tokens"] == 60
    assert model.context_window == 300
    assert [entry["event"] for entry in logs] == ["model.context_window_learned"]


async def test_a_prompt_that_is_too_long_is_not_sent_again(provider: Provider, model: OpenAIModel) -> None:
    said = "This model's maximum context length is 300 tokens. However, you requested 400 tokens (300 in the messages, "
    said += "100 in the completion). Please reduce the length of the messages or completion."
    provider.will(refuses(400, {"error": {"message": said, "code": "context_length_exceeded"}}))
    with pytest.raises(ContextTooLong):
        await ask(model)
    assert len(provider.received) == 1
    assert model.context_window == 300


async def test_options(provider: Provider, http: Http) -> None:
    provider.will(says("Hi"))
    model = with_options(
        provider, http, tools=False, context_window=300, parameters={"temperature": 0, "tool_choice": "auto"}
    )
    assert model.context_window == 300
    await ask(model, [UserMessage("x" * 800)])
    sent = provider.received[0].body
    assert (sent["temperature"], sent.keys() & {"tools", "tool_choice"}) == (0, set())
    assert sent["max_tokens"] < 40
    model = with_options(provider, http, parameters={"tool_choice": "auto"})
    await ask(model)
    assert provider.received[1].body["tool_choice"] == "auto"
    await ask(model, tools=False)
    assert "tool_choice" not in provider.received[2].body


async def test_a_parameter_of_the_options_that_is_refused(provider: Provider, http: Http) -> None:
    model = with_options(provider, http, parameters={"temperature": 0.2, "top_k": 5})
    said = "Unsupported value: 'temperature' does not support 0.2 with this model."
    provider.will(refuses(400, {"error": {"message": said, "param": "temperature"}}), says("Hi"))
    await ask(model)
    assert provider.received[1].body.keys() & {"temperature", "top_k"} == {"top_k"}
