"""What providers say when they refuse an optional part of a request, and what is sent instead."""

import json
from typing import Any

import pytest

from app.errors import AppError
from app.models.providers.changes import NO_CHANGES, Changes
from app.models.providers.failures import context_too_long, from_status
from app.models.providers.refusals import Said, change_for, words_of

OPTIONAL = ("temperature", "top_p", "reasoning_effort", "parallel_tool_calls", "tool_choice")
TOOLS = Changes(left_out=frozenset({"tools", "tool_choice"}))


def refused(said: Any, status: int = 400) -> AppError:
    body = said if isinstance(said, bytes) else json.dumps(said).encode()
    error = from_status(status, {}, body)
    error.__cause__ = Said(status, body)
    return error


def error(message: str, **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", **fields}}


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, {"object": "error", "message": '"auto" tool choice requires --enable-auto-tool-choice and '
               "--tool-call-parser to be set", "type": "BadRequestError", "param": None, "code": 400}),
        (500, {"error": {"code": 500, "message": "tools param requires --jinja flag", "type": "server_error"}}),
        (500, {"error": {"code": 500, "message": "Unsupported param: tools", "type": "server_error"}}),
        (404, {"error": {"message": "No endpoints found that support tool use. To learn more about provider routing, "
               "visit: https://openrouter.ai/docs/provider-routing", "code": 404}}),
        (404, {"error": {"message": 'No endpoints found that support tool use. Try disabling "clock".', "code": 404}}),
        (400, error("registry.ollama.ai/library/gemma:2b does not support tools", type="api_error")),
        (400, {"error": "registry.ollama.ai/library/gemma:2b does not support tools"}),
        (400, error("`tool calling` is not supported with this model")),
        (400, error("Unsupported parameter: 'tools' is not supported with this model.", param="tools",
                    code="unsupported_parameter")),
        (400, error("tools is not supported in this model. For a list of supported models, refer to https://x")),
        (400, [{"error": {"code": 400, "message": "Function calling is not enabled for models/gemma-3-27b-it",
                          "status": "INVALID_ARGUMENT"}}]),
        (400, error("Function calling is not supported for this model")),
        (400, error("<400> InternalError.Algo.InvalidParameter: The tool call is not supported.")),
        (400, error("deepseek-reasoner does not support Function Calling")),
        (400, error("Tool calling is not supported for this model")),
        (400, error("This model does not support tool use")),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "tools"], "msg": "Extra inputs are not permitted",
                           "input": []}]}),
        (400, {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": '{"code":400, "reason":'
               '"INVALID_REQUEST_BODY", "message":"model features function calling not support"}'}}}),
        (400, error("Unrecognized request argument supplied: tools")),
        (400, error("Unrecognized request arguments supplied: tools, tool_choice")),
        (400, error('No connected provider supports tool calling for this model.')),
        (501, {"error": "tools are not implemented"}),
    ],
)  # fmt: skip
def test_tools_are_left_out(status: int, said: Any) -> None:
    assert change_for(refused(said, status), NO_CHANGES) == TOOLS


@pytest.mark.parametrize(
    ("status", "said", "name"),
    [
        (422, {"object": "error", "message": {"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"],
               "msg": "Extra inputs are not permitted", "input": {"include_usage": True}}]}}, "stream_options"),
        (400, error("Unrecognized request argument supplied: stream_options"), "stream_options"),
        (400, error("Unknown parameter: 'stream_options'.", param="stream_options"), "stream_options"),
        (400, error("[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not "
                    "permitted', 'input': {'include_usage': True}}]"), "stream_options"),
        (400, [{"error": {"code": 400, "message": "Invalid JSON payload received. Unknown name \"stream_options\": "
               "Cannot find field."}}], "stream_options"),
        (400, error("Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value "
                    "is supported.", param="temperature", code="unsupported_value"), "temperature"),
        (400, error("`temperature` is deprecated for this model."), "temperature"),
        (400, error("`top_p` and `temperature` cannot be both specified", param="top_p"), "top_p"),
        (400, error("Unrecognized request argument supplied: reasoning_effort"), "reasoning_effort"),
        (400, error("Unsupported parameter: 'parallel_tool_calls' is not supported with this model.",
                    param="parallel_tool_calls"), "parallel_tool_calls"),
        (400, error("deepseek-reasoner does not support this tool_choice"), "tool_choice"),
    ],
)  # fmt: skip
def test_an_optional_parameter_is_left_out(status: int, said: Any, name: str) -> None:
    changed = change_for(refused(said, status), NO_CHANGES, OPTIONAL)
    assert changed == Changes(left_out=frozenset({name}))


@pytest.mark.parametrize(
    ("status", "said", "expected"),
    [
        (400, error("Unsupported parameter: 'max_tokens' is not supported with this model. Use "
                    "'max_completion_tokens' instead.", param="max_tokens", code="unsupported_parameter"),
         Changes(renamed=("max_tokens", "max_completion_tokens"))),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"], "msg": "Extra inputs "
               "are not permitted"}]}, Changes(renamed=("max_completion_tokens", "max_tokens"))),
        (400, error("Unrecognized request argument supplied: max_completion_tokens"),
         Changes(renamed=("max_completion_tokens", "max_tokens"))),
        (400, error("max_tokens is too large: 100000. This model supports at most 16384 completion tokens, whereas you "
                    "provided 100000.", param="max_tokens"), Changes(max_output=16384)),
        (400, error("Invalid max_tokens value, the valid range of max_tokens is [1, 8192]"), Changes(max_output=8192)),
        (400, error("Range of max_tokens should be [1, 8192]"), Changes(max_output=8192)),
        (400, error("max_tokens: 128000 > 64000, which is the maximum allowed number of output tokens for claude-x"),
         Changes(max_output=64000)),
        (400, error("`max_tokens` must be less than or equal to `8192`, the maximum value for `max_tokens` is less "
                    "than the `context_window` for this model"), Changes(max_output=8192)),
        (400, error("Function tools with reasoning_effort are not supported for gpt-5.6 in /v1/chat/completions. To "
                    "use function tools, use /v1/responses or set reasoning_effort to 'none'.",
                    param="reasoning_effort"), Changes(effort="none")),
        (400, error("Unsupported value: 'stream' does not support true with this model.", param="stream"),
         Changes(stream=False)),
        (403, {"message": "Streaming requests are not yet allowed."}, Changes(stream=False)),
        (400, error("This model only support stream mode, please enable the stream parameter to access the model."),
         Changes(stream=True)),
        (400, error("parameter.enable_thinking must be set to false for non-streaming calls"), Changes(stream=True)),
        (400, error("Please use max_tokens instead of max_completion_tokens; the latter is not supported."),
         Changes(renamed=("max_completion_tokens", "max_tokens"))),
        (400, error("This model doesn't support tool use in streaming mode."), Changes(stream=False)),
        (500, error("Cannot use tools with stream"), Changes(stream=False)),
        (400, error("Requests with max_tokens > 4096 must have stream=true"), Changes(stream=True)),
    ],
)  # fmt: skip
def test_a_parameter_is_changed(status: int, said: Any, expected: Changes) -> None:
    assert change_for(refused(said, status), NO_CHANGES) == expected


@pytest.mark.parametrize(
    ("status", "said", "way"),
    [
        (400, error("Unsupported value: 'messages[0].role' does not support 'system' with this model.",
                    param="messages[0].role"), "system_prompt_in_the_first_message"),
        (400, [{"error": {"code": 400, "message": "Developer instruction is not enabled for models/gemma-3-27b-it"}}],
         "system_prompt_in_the_first_message"),
        (400, {"object": "error", "message": "System role not supported"}, "system_prompt_in_the_first_message"),
        (500, error("Conversation roles must alternate user/assistant/user/assistant/..."),
         "system_prompt_in_the_first_message"),
        (400, error("'messages.1' : for 'role:assistant' the following must be satisfied[('messages.1' : property "
                    "'reasoning_content' is unsupported)]"), "reasoning_not_sent_back"),
        (400, {"message": "messages.2.assistant.reasoning_content: property 'messages.2.assistant.reasoning_content' "
               "is unsupported", "param": "validation_error"}, "reasoning_not_sent_back"),
        (422, {"detail": [{"type": "extra_forbidden", "loc": ["body", "messages", 3, "assistant", "reasoning_content"],
                           "msg": "Extra inputs are not permitted"}]}, "reasoning_not_sent_back"),
        (400, error("The reasoning_content in the thinking mode must be passed back to the API."),
         "reasoning_content_in_every_message"),
        (400, error("thinking is enabled but reasoning_content is missing in assistant tool call message at index 2"),
         "reasoning_content_in_every_message"),
        (400, [{"error": {"code": 400, "message": "Function call is missing a thought_signature in functionCall parts. "
               "This is required for tools to work correctly"}}], "signature_in_every_call"),
        (400, {"message": "Tool call id was call_1 but must be a-z, A-Z, 0-9, with a length of 9."},
         "ids_of_nine_characters"),
        (400, error("Requests which include `tool_use` or `tool_result` blocks must define tools"),
         "tool_calls_as_text"),
        (400, [{"error": {"code": 400, "message": "Invalid JSON payload received. Unknown name "
               "\"additionalProperties\" at 'tools[0].function_declarations[0].parameters': Cannot find field."}}],
         "schemas_of_few_words"),
        (400, error("'maxLength' is not supported in tool parameters"), "schemas_of_few_words"),
        (400, error("litellm.UnsupportedParamsError: Anthropic expects the `tools=` param to be passed in with tools"),
         "tool_calls_as_text"),
    ],
)  # fmt: skip
def test_messages_are_written_in_another_way(status: int, said: Any, way: str) -> None:
    assert change_for(refused(said, status), NO_CHANGES) == Changes(ways=frozenset({way}))


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (400, error("what is this")),
        (400, error("Invalid 'messages': expected an array", param="messages")),
        (400, error("Failed to call a function. Please adjust your prompt.", code="tool_use_failed")),
        (500, error("Internal error while parsing tools")),
        (503, error("tools are not supported")),
        (429, error("Unrecognized request argument supplied: stream_options")),
        (401, error("Incorrect API key provided")),
        (404, error("The model `x` does not exist", code="model_not_found")),
        (400, {"detail": [{"loc": ["body", "messages", 0, "name"], "msg": "Input should be a valid string",
                           "input": "this model does not support tools"}]}),
        (400, b"\xff\xfe"),
    ],
)  # fmt: skip
def test_other_errors_change_nothing(status: int, said: Any) -> None:
    assert change_for(refused(said, status), NO_CHANGES) is None


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("message", _lines("""
    Function calling is unsupported
    tool calling is disabled
    model does not have tool support
    This model is not capable of tool calling
    Tool calls are only supported with Mistral
    create_chat_completion() got an unexpected keyword argument 'tools'
    json: unknown field "tools"
    This model doesn't support the toolConfig field. Remove toolConfig and try again.
    Support for tools is not available
    tools参数不支持
    模型不支持Function Call功能
"""))  # fmt: skip
def test_tools_are_refused_in_many_words(message: str) -> None:
    assert change_for(refused(error(message)), NO_CHANGES) == TOOLS


@pytest.mark.parametrize("message", _lines("""
    Invalid 'tools[0].function.name': string does not match pattern
    tools.0.custom.input_schema: JSON schema is invalid
    messages with role 'tool' must be a response to a preceding message with 'tool_calls'
    Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.
    Too many tools: at most 128
    Invalid tool_call_id
    tool_calls[0].function.arguments must be valid JSON
"""))  # fmt: skip
def test_tools_are_kept_where_something_else_is_at_fault(message: str) -> None:
    assert change_for(refused(error(message)), NO_CHANGES) is None


@pytest.mark.parametrize("message", _lines("""
    max_completion_tokens (1000) is greater than the maximum 512
    maxOutputTokens must be in the range 1-512
    max_tokens must be in range (0, 512]
    max tokens limit is 512
    max_new_tokens must be < 513
    The maximum number of output tokens for this model is 512, max_tokens was 1000
    max_tokens must be lower than or equal to 512
    max_tokens 最大值为 512
    `max_tokens` too high, maximum allowed is 512
"""))  # fmt: skip
def test_the_limit_of_output_is_told_in_many_words(message: str) -> None:
    assert change_for(refused(error(message)), NO_CHANGES) == Changes(max_output=512)


@pytest.mark.parametrize(("message", "stream"), [
    ("streaming mode is unavailable", False),
    ("stream=true is not supported", False),
    ("`stream` must be set to false when using tools", False),
    ("Tool calling is not supported with streaming", False),
    ("当前模型不支持流式输出", False),
    ("Non-streaming requests are not supported", True),
    ("Stream must be set to true", True),
    ("该模型只支持流式调用", True),
])  # fmt: skip
def test_streams_are_refused_or_wanted_in_many_words(message: str, stream: bool) -> None:
    assert change_for(refused(error(message)), NO_CHANGES) == Changes(stream=stream)


@pytest.mark.parametrize("message", _lines("""
    messages.1.content: Input should be a valid string
    messages[2].content is null
    Missing required field: content
    TypeError: sequence item 0: expected str instance, NoneType found
    expected string, received null at messages[2].content
"""))  # fmt: skip
def test_content_is_wanted_as_text_in_many_words(message: str) -> None:
    assert change_for(refused(error(message)), NO_CHANGES) == Changes(ways=frozenset({"content_as_text"}))


def test_content_that_is_empty_is_refused_after_none() -> None:
    changes = Changes(ways=frozenset({"content_as_text"}))
    changed = change_for(refused(error("messages.1: content must not be empty")), changes)
    assert changed == Changes(ways=frozenset({"content_as_text", "content_never_empty"}))


def test_an_error_without_its_body_changes_nothing() -> None:
    assert change_for(from_status(429, {}, b""), NO_CHANGES) is None
    assert change_for(context_too_long(), NO_CHANGES) is None


def test_what_was_changed_is_not_changed_again() -> None:
    said = error("tools are not supported, nor is stream_options")
    first = change_for(refused(said), NO_CHANGES)
    assert first == TOOLS
    second = change_for(refused(said), first)
    assert second == Changes(left_out=TOOLS.left_out | {"stream_options"})
    assert change_for(refused(said), second) is None


def test_tools_are_left_out_of_a_model_that_cannot_help_reasoning() -> None:
    said = error("Unsupported value: 'reasoning_effort' does not support 'none' with this model.")
    assert change_for(refused(said), Changes(effort="none")) == TOOLS


def test_changes_are_made_in_the_request() -> None:
    body: dict[str, Any] = {"model": "m", "max_tokens": 5, "tools": [], "stream_options": {}}
    Changes(frozenset({"stream_options", "x"}), ("max_tokens", "max_completion_tokens"), "none").apply(body)
    assert body == {"model": "m", "max_completion_tokens": 5, "tools": [], "reasoning_effort": "none"}
    body = {"model": "m"}
    Changes(effort="none", renamed=("max_tokens", "y")).apply(body)
    assert body == {"model": "m"}


def test_changes_have_words_for_the_log() -> None:
    changes = Changes(frozenset({"tools"}), ("a", "b"), "none", True, 5, frozenset({"ids_of_nine_characters"}))
    assert changes.words() == [
        "without tools",
        "b for a",
        "reasoning_effort none with tools",
        "streamed",
        "at most 5 tokens of output",
        "ids of nine characters",
    ]
    assert Changes(stream=False).words() == ["not streamed"]


def test_deep_and_long_errors_are_read_in_part() -> None:
    deep: Any = "x"
    for _ in range(50):
        deep = {"error": deep}
    assert words_of(json.dumps(deep).encode()) == ("", frozenset())
    words, _ = words_of(json.dumps({"message": "x" * 10_000}).encode())
    assert len(words) == 4000
