"""How answers of OpenAI-compatible servers end: those that failed are failures, those that are complete are answers."""

import asyncio
import json
import time
from typing import Any

import pytest

from app.errors import AppError, ContextTooLong, ModelRateLimited, ModelUnavailable
from app.messages import Usage
from app.models.providers.http import Http
from app.models.providers.openai.model import OpenAIModel
from tests.logged import capture_logs
from tests.models.openai_server import USAGE, ask, chunk, says, stream, whole
from tests.models.servers import Provider, Reply

HAL = chunk({"content": "Hal"})


@pytest.fixture
def model(provider: Provider, http: Http) -> OpenAIModel:
    return OpenAIModel("m", f"{provider.url}/v1", None, http)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("stop", "stop"),
        ("STOP", "stop"),
        ("eos", "stop"),
        ("end_turn", "stop"),
        ("tool_calls", "stop"),
        ("whatever", "stop"),
        ("length", "max_tokens"),
        ("model_length", "max_tokens"),
        ("MAX_TOKENS", "max_tokens"),
        ("content_filter", "content_filter"),
        ("content_filter: RECITATION", "content_filter"),
        ("SAFETY", "content_filter"),
        ("sensitive", "content_filter"),
        ("refusal", "refusal"),
    ],
)
async def test_ends(provider: Provider, model: OpenAIModel, streamed: bool, finish: str, reason: str) -> None:
    provider.will(stream(HAL, chunk(finish=finish)) if streamed else whole({"content": "Hal"}, finish))
    heard = await ask(model, stream=streamed)
    assert (heard.completion.stop_reason, heard.text) == (reason, "Hal")


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("error", "server_error"),
        ("abort", "server_error"),
        ("cancelled", "server_error"),
        ("network_error", "server_error"),
        ("function_call_filter: MALFORMED_FUNCTION_CALL", "server_error"),
        ("insufficient_system_resource", "overloaded"),
    ],
)
async def test_ends_that_are_failures(
    provider: Provider, model: OpenAIModel, streamed: bool, finish: str, reason: str
) -> None:
    provider.will(stream(HAL, chunk(finish=finish)) if streamed else whole({"content": "Hal"}, finish))
    with pytest.raises(ModelUnavailable) as caught:
        await ask(model, stream=streamed)
    assert caught.value.reason == reason


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_a_refusal(provider: Provider, model: OpenAIModel, streamed: bool) -> None:
    refusal = stream(chunk({"refusal": "I can"}), chunk({"refusal": " not."}), chunk(finish="stop"))
    provider.will(refusal if streamed else whole({"content": None, "refusal": "I can not."}))
    heard = await ask(model, stream=streamed)
    assert (heard.completion.stop_reason, heard.text) == ("refusal", "I can not.")


LOW = "Rate limit exceeded: free-models-per-min"


@pytest.mark.parametrize(
    ("event", "kind", "reason"),
    [
        ({"error": {"message": "oops", "code": 502}}, ModelUnavailable, "server_error"),
        ({"error": {"message": "oops", "type": "server_error", "code": None}}, ModelUnavailable, "server_error"),
        ({"error": {"message": "busy", "code": 503}}, ModelUnavailable, "overloaded"),
        ({"error": {"message": LOW, "code": 429}}, ModelRateLimited, "rate_limited"),
        ({"error": {"message": "slow down", "type": "rate_limit_error"}}, ModelRateLimited, "rate_limited"),
        ({"error": "oops"}, ModelUnavailable, "server_error"),
        ({"error": "oops", "error_type": "generation"}, ModelUnavailable, "server_error"),
        ({**HAL, "error": {"message": "oops"}}, ModelUnavailable, "server_error"),
        ({"choices": [], "error": {"message": "oops"}}, ModelUnavailable, "server_error"),
        ({"choices": [{"delta": {}, "error": {"message": "oops", "code": 502}}]}, ModelUnavailable, "server_error"),
        (
            {"choices": [{"delta": {}, "finish_reason": "error", "error": {"message": LOW, "code": 429}}]},
            ModelRateLimited,
            "rate_limited",
        ),
        (
            {"object": "error", "message": "oops", "type": "internal_error", "code": 500},
            ModelUnavailable,
            "server_error",
        ),
        ({"message": "oops", "type": "internal_error"}, ModelUnavailable, "server_error"),
        ({"type": "error", "error": {"type": "overloaded_error", "message": "x"}}, ModelUnavailable, "shared_overload"),
        ({"detail": "oops"}, ModelUnavailable, "server_error"),
        ({"code": 50501, "message": "busy", "data": None}, ModelUnavailable, "server_error"),
    ],
)
async def test_failures_in_a_stream(
    provider: Provider, model: OpenAIModel, event: Any, kind: type[AppError], reason: str
) -> None:
    provider.will(stream(HAL, event))
    with pytest.raises(kind) as caught:
        await ask(model)
    assert getattr(caught.value, "reason", None) == reason


async def test_a_failure_in_a_field_of_its_own(provider: Provider, model: OpenAIModel) -> None:
    """llama.cpp's, before it was sent as data."""
    provider.will(Reply([b'error: {"code":400,"message":"the request exceeds the available context size"}\n\n']))
    with pytest.raises(ContextTooLong):
        await ask(model)


async def test_a_whole_answer_without_a_finish_reason_is_one(provider: Provider, model: OpenAIModel) -> None:
    provider.will(whole({"content": "Hi"}, None))
    assert (await ask(model, stream=False)).text == "Hi"


async def test_a_failure_in_an_event_by_name(provider: Provider, model: OpenAIModel) -> None:
    provider.will(Reply([b'event: error\ndata: {"message": "oops"}\n\ndata: [DONE]\n\n']))
    with pytest.raises(ModelUnavailable):
        await ask(model)


@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"error": {"message": LOW, "code": 429}}, ModelRateLimited),
        ([{"error": {"code": 503, "message": "busy", "status": "UNAVAILABLE"}}], ModelUnavailable),
        ({"object": "error", "message": "This model's maximum context length is 4096 tokens."}, ContextTooLong),
        ({"error": "Context size has been exceeded."}, ContextTooLong),
        ({"message": "oops"}, ModelUnavailable),
    ],
)
async def test_failures_in_a_body(
    provider: Provider, model: OpenAIModel, streamed: bool, body: Any, kind: type[AppError]
) -> None:
    provider.will(Reply([json.dumps(body).encode()]))
    with pytest.raises(kind):
        await ask(model, stream=streamed)


HI = [chunk({"content": "Hi"}), chunk(finish="stop")]
USED = {"choices": [], "usage": USAGE}


def lines(*events: Any, before: str = "data: ", after: str = "\n\n", first: str = "", last: str = "") -> Reply:
    said = [event if isinstance(event, str) else json.dumps(event) for event in events]
    return Reply([(first + "".join(f"{before}{event}{after}" for event in said) + last).encode()])


@pytest.mark.parametrize(
    "reply",
    [
        stream(*HI, {"choices": None, "usage": USAGE}, usage=None),
        stream(*HI, {"usage": USAGE}, usage=None),
        stream(HI[0], chunk(finish="stop", usage=USAGE), usage=None),
        stream(HI[0], chunk(finish="stop", usage=USAGE), usage={"prompt_tokens": 0, "completion_tokens": 0}),
        stream(*(chunk({"content": text}, usage=USAGE) for text in "Hi"), HI[1]),
        stream(*HI, usage={"prompt_tokens": 10.0, "completion_tokens": 5.0, "total_tokens": 15.5}),
        stream(*HI, usage={**USAGE, "prompt_tokens_details": None, "completion_tokens_details": {"x": None}}),
        stream(*HI, usage={"prompt_tokens": "10", "completion_tokens": "5"}),
        stream(HI[0], {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}, usage=None),
        stream({**HI[0], "error": None}, {**HI[1], "error": ""}),
        stream({**HI[0], "error": {}}, {**HI[1], "error": {"message": "", "code": None}}),
        stream({**HI[0], "error": False, "warning": "x"}, HI[1]),
        stream(chunk({"content": [{"type": "text", "text": "Hi"}]}), HI[1]),
        stream(chunk({"content": {"type": "text", "text": "Hi"}}), HI[1]),
        stream(chunk({"content": ["H", {"text": "i"}, {"type": "reference", "reference_ids": [1]}]}), HI[1]),
        stream(chunk({"role": "assistant", "content": None, "tool_calls": None, "refusal": None}), *HI),
        stream(
            chunk({"role": 5, "content": "Hi", "reasoning_content": 0.5, "annotations": {}, "logprobs": "x"}), HI[1]
        ),
        stream({"id": 1, "created": "yesterday", "model": None, "choices": HI[0]["choices"]}, HI[1]),
        stream({"choices": [], "prompt_filter_results": [{}]}, *HI),
        stream({"type": "ping"}, *HI, {"id": "only"}),
        stream({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": "null"}]}, HI[1]),
        stream({"choices": [{"index": 0, "delta": {"content": "Hi"}, "finish_reason": ""}]}, HI[1]),
        stream({"choices": [{"index": 0, "message": {"content": "Hi"}, "finish_reason": None}]}, HI[1]),
        stream(*HI, done=False),
        stream(HI[0], chunk({"content": None}, "stop"), done=False),
        lines(*HI, USED, "[DONE]", before="data:"),
        lines(*HI, USED, "[DONE]", after="\r\n\r\n"),
        lines(*HI, USED, "[DONE]", after="\n\n\n\n"),
        lines(*HI, USED, "[DONE]", first="\ufeff"),
        lines(*HI, USED, "[DONE]", first=": OPENROUTER PROCESSING\n\n\n", before=": x\ndata: "),
        lines(*HI, USED, "[DONE]", before="event: message\nid: 7\nretry: 5\ndata: "),
        lines(*HI, USED, last="data: [DONE]"),
        lines(*HI, last=f"data: {json.dumps(USED)}"),
        whole({"content": "Hi"}),
        whole({"content": [{"type": "text", "text": "Hi"}], "annotations": 5}, created=None, error=None),
        lines({"choices": [{"message": {"content": "Hi"}, "finish_reason": "stop"}], "usage": USAGE}, before="\n  "),
    ],
)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_complete_answers(provider: Provider, model: OpenAIModel, reply: Reply, streamed: bool) -> None:
    """Whichever was asked for: some servers know one way only."""
    provider.will(reply)
    heard = await ask(model, stream=streamed)
    assert (heard.text, heard.completion.stop_reason) == ("Hi", "stop")
    assert heard.completion.usage == Usage(10, 5)


async def test_json_that_only_python_writes(provider: Provider, model: OpenAIModel) -> None:
    """NaN, and a character in two halves."""
    provider.will(
        stream(
            '{"choices": [{"index": 0, "delta": {"content": "Hi \\ud83d\\ude00"}, "logprobs": NaN}]}',
            '{"choices": [{"index": 0, "delta": {"content": "\\ud83d."}, "finish_reason": "stop"}]}',
        )
    )
    assert (await ask(model)).text == "Hi 😀\ufffd."


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"prompt_tokens": 10, "completion_tokens": None}, Usage(10, 1)),
        ({"prompt_tokens": 10, "completion_tokens": 0, "total_tokens": 10}, Usage(10, 1)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "prompt_cache_hit_tokens": 64}, Usage(100, 5, 64)),
        ({"prompt_tokens": 100, "completion_tokens": 5, "cached_tokens": 64}, Usage(100, 5, 64)),
        (
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "cache_read_input_tokens": 64,
                "cache_creation_input_tokens": 20,
            },
            Usage(100, 5, 64, 20),
        ),
        (
            {"prompt_tokens": 10, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 50}},
            Usage(10, 5, 10),
        ),
        (
            {
                "prompt_tokens": 32,
                "completion_tokens": 9,
                "total_tokens": 135,
                "completion_tokens_details": {"reasoning_tokens": 94},
            },
            Usage(32, 103),
        ),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 60}, Usage(10, 50)),
        ({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 3}, Usage(10, 5)),
    ],
)
async def test_usage_is_the_same_thing_everywhere(
    provider: Provider, model: OpenAIModel, usage: Any, expected: Usage
) -> None:
    provider.will(stream(*HI, usage=usage))
    with capture_logs():
        assert (await ask(model)).completion.usage == expected


@pytest.mark.parametrize("usage", [{}, None, {"prompt_tokens": None, "completion_tokens": None}, "none", []])
async def test_no_usage_is_estimated(provider: Provider, model: OpenAIModel, usage: Any) -> None:
    provider.will(stream(HI[0], chunk(finish="stop", usage=usage), usage=None))
    with capture_logs() as logs:
        used = (await ask(model)).completion.usage
    assert used.output_tokens == 1
    assert used.input_tokens > 10
    assert [entry["event"] for entry in logs] == ["model.usage_missing"]


@pytest.mark.parametrize(
    ("reply", "seconds"),
    [
        (says("Hi"), 0.5),
        (stream(*HI, done=False), 0.5),
        (stream(HI[0], chunk(finish="stop", usage=USAGE), usage=None, done=False), 0.5),
        (stream(*HI, usage=None, done=False), 2.5),
    ],
    ids=["[DONE]", "usage", "usage with the finish reason", "finish reason"],
)
@pytest.mark.parametrize("ending", ["silent", "reset", "cut"])
async def test_an_end_that_has_come_is_not_waited_for(
    provider: Provider, model: OpenAIModel, reply: Reply, seconds: float, ending: Any
) -> None:
    provider.will(reply.ending_with(ending))
    started = time.monotonic()
    with capture_logs():
        assert (await ask(model)).text == "Hi"
    assert time.monotonic() - started < seconds


async def test_comments_after_the_end_are_not_waited_for(provider: Provider, model: OpenAIModel) -> None:
    pieces = [*stream(*HI, usage=None, done=False).pieces, *[b": keep-alive\n\n"] * 100]
    provider.will(Reply(pieces, pause=0.1))
    started = time.monotonic()
    with capture_logs():
        assert (await ask(model)).text == "Hi"
    assert time.monotonic() - started < 3


async def test_text_after_a_finish_reason_is_of_the_answer(provider: Provider, model: OpenAIModel) -> None:
    """As from servers that say `stop` in each chunk."""
    chunks = [chunk({"content": text}, "stop", usage=USAGE) for text in "Hello"]
    reply = stream(*chunks)
    provider.will(Reply(reply.pieces, pause=0.03))
    assert (await ask(model)).text == "Hello"


async def test_the_usage_is_waited_for_a_moment(provider: Provider, model: OpenAIModel) -> None:
    reply = stream(*HI)
    provider.will(Reply(reply.pieces, pause=0.3))
    assert (await ask(model)).completion.usage == Usage(10, 5)


async def test_a_failure_after_the_finish_reason_is_one(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(*HI, {"object": "error", "message": "oops", "code": 500}, usage=None))
    with pytest.raises(ModelUnavailable):
        await ask(model)


async def test_cancelling_while_the_usage_is_waited_for(provider: Provider, model: OpenAIModel) -> None:
    provider.will(stream(*HI, usage=None, done=False).ending_with("silent"))
    task = asyncio.create_task(ask(model))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
