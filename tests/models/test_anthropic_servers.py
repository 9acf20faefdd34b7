"""What servers send that speak Anthropic's API in their own way."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from app.errors import ContextTooLong, ModelRateLimited, ModelUnavailable
from app.messages import Usage
from app.models.providers.anthropic.model import AnthropicModel
from tests.models.anthropic_events import (
    DONE,
    STOP,
    began,
    call,
    delta,
    end,
    event,
    plain,
    start,
    stopped,
    stream,
    text,
)
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import ask, whole_answer

COUNTED = {"input_tokens": 10, "output_tokens": 5}


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    "reply",
    [
        stream(start(), text("Hi"), end(usage=COUNTED)),
        stream(start(), text("Hi"), end(usage=COUNTED), last=DONE),
        stream(start(), text("Hi"), end(usage=COUNTED), STOP, last=DONE),
        stream(start(COUNTED), text("Hi"), STOP),
        stream(start(COUNTED), text("Hi"), last=DONE),
        stream(text("Hi"), {**end(), "usage": COUNTED}, {"type": "message_stop", "usage": None}),
        stream(start(), [delta(0, type="text_delta", text="Hi")], end(usage=COUNTED), STOP),
        stream(start(), [delta(None, text="Hi")], end(usage=COUNTED), STOP),
        stream(start(), [began(0, type="text", text="H"), delta(0, text="i")], end(usage=COUNTED), STOP),
        stream(start(), [began(0, type="text", text="H"), began(0, type="text", text="i")], end(usage=COUNTED), STOP),
        stream(start(), [began(0, type="text", text=None), delta(0, text="Hi", thinking=None)], end(usage=COUNTED)),
        stream(
            start(), [began(7, type="brand_new", x=1), delta(7, type="new_delta", x=1)], text("Hi"), end(usage=COUNTED)
        ),
        stream({"type": "ping"}, start(), {"type": "brand_new", "x": [1]}, text("Hi"), end(usage=COUNTED), STOP),
        stream(
            start(), text("Hi"), end(usage=COUNTED), {"type": "message_delta", "delta": {"stop_reason": None}}, STOP
        ),
        Reply([b"\xef\xbb\xbf", b": hello\n\n", *stream(start(), text("Hi"), end(usage=COUNTED), STOP).pieces]),
        Reply([stream(start(), text("Hi"), end(usage=COUNTED), STOP).whole().replace(b"\n", b"\r\n")]),
        Reply([stream(start(), text("Hi"), end(usage=COUNTED)).whole().removesuffix(b"\n\n")]),
        plain([{"type": "text", "text": "Hi"}], usage=COUNTED),
        plain("Hi", usage=COUNTED),
        plain([{"type": "text", "text": "Hi"}], None, COUNTED),
        plain(
            [{"type": "brand_new"}, "odd", {"type": "text", "text": "H"}, {"type": "text", "text": "i"}], usage=COUNTED
        ),
        Reply([b"\xef\xbb\xbf\n", *plain([{"type": "text", "text": "Hi"}], usage=COUNTED).pieces]),
    ],
)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_an_answer_is_taken_in_whichever_form_it_comes(
    provider: Provider, model: AnthropicModel, reply: Reply, streamed: bool
) -> None:
    provider.will(reply)
    answer = await whole_answer(model, ask(stream=streamed))
    assert (answer.text, answer.end.stop_reason, answer.end.usage) == ("Hi", "stop", Usage(10, 5))


ONE = ("calculator", {"expression": "1+1"})
PIECES = ('{"expres', 'sion": "1+1"}')


@pytest.mark.parametrize(
    ("blocks", "calls"),
    [
        (call(0, "t", *("calculator", *PIECES)), [ONE]),
        (call(0, "t", "calculator", input={"expression": "1+1"}), [ONE]),
        (call(0, "t", "calculator", input='{"expression": "1+1"}'), [ONE]),
        (call(0, "t", "calculator", "", *PIECES, input={"expression": "1+1"}), [ONE]),
        (call(0, "t", "calculator", *PIECES, input=None), [ONE]),
        (call(None, "t", "calculator", *PIECES), [ONE]),
        ([began(0, type="tool_use", id="t", name="calculator"), delta(0, partial_json={"expression": "1+1"})], [ONE]),
        (call(0, "", "calculator", *PIECES), [ONE]),
        (call(0, "a", "calculator", *PIECES) + call(0, "b", "clock"), [ONE, ("clock", {})]),
        (call(0, "a", "calculator", *PIECES)[:-1] + call(0, "b", "clock")[:-1], [ONE, ("clock", {})]),
        (call(0, "a", "calculator", *PIECES) + call(1, "a", "clock", "null"), [ONE, ("clock", {})]),
        (text("Let me see.", 0) + call(0, "t", "calculator", *PIECES), [ONE]),
        (call(0, "a", "clock") + call(1, "", "") + [stopped(9)], [("clock", {})]),
        (call(0, "a", "clock", "{}"), [("clock", {})]),
        ([*call(0, "a", "clock")[:1] * 3, stopped(0)], [("clock", {})]),
    ],
)
@pytest.mark.parametrize("reason", ["tool_use", "end_turn"])
async def test_each_call_is_made_once_with_its_own_arguments(
    provider: Provider, model: AnthropicModel, blocks: list[Any], calls: list[Any], reason: str
) -> None:
    provider.will(stream(start(), blocks, end(reason, COUNTED), STOP))
    answer = await whole_answer(model, ask())
    assert [(made.name, made.arguments, made.malformed) for made in answer.calls] == [(*made, "") for made in calls]
    assert answer.end.stop_reason == "tool_calls"
    ids = [made.id for made in answer.calls]
    assert all(ids)
    assert len(set(ids)) == len(ids)


async def test_a_call_that_was_cut_before_its_input_is_left_out(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), call(0, "a", "clock"), call(1, "b", "calculator", ""), end("max_tokens"), STOP))
    answer = await whole_answer(model, ask())
    assert [made.name for made in answer.calls] == ["clock"]
    assert answer.end.stop_reason == "max_tokens"


@pytest.mark.parametrize("reply", [stream(start(), end("refusal", COUNTED), STOP), plain([], "refusal", COUNTED)])
async def test_a_refusal_is_no_empty_answer(provider: Provider, model: AnthropicModel, reply: Reply) -> None:
    provider.will(reply)
    answer = await whole_answer(model, ask())
    assert (answer.text, answer.end.stop_reason, answer.end.usage) == ("", "refusal", Usage(10, 5))


async def test_calls_of_a_refused_answer_are_not_made(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("Hal"), call(1, "t", "clock"), end("refusal", COUNTED), STOP))
    answer = await whole_answer(model, ask())
    assert (answer.calls, answer.end.stop_reason) == ([], "refusal")


async def test_a_context_that_is_full_before_the_answer_is_too_long(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), end("model_context_window_exceeded"), STOP))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (stream(start(), text("Hal"), end("error", COUNTED), STOP), "server_error"),
        (stream(start(), text("Hal"), end("abort", COUNTED), STOP), "server_error"),
        (stream(start(), text("Hal"), {"type": "error", "error": "oops"}), "server_error"),
        (stream(start(), text("Hal"), {"type": "error", "message": "oops"}, STOP), "server_error"),
        (stream(start(), text("Hal"), {"error": {"message": "oops", "code": 503}}, STOP, last=DONE), "overloaded"),
        (stream({"object": "error", "message": "oops", "code": 502}, last=DONE), "server_error"),
        (stream(start(), text("Hal")), "cut_stream"),
        (stream(start(), last=DONE), "cut_stream"),
        (Reply([b'{"type": "error", "error": {"type": "overloaded_error", "message": "no"}}']), "shared_overload"),
        (Reply([b'{"error": "oops"}']), "server_error"),
        (Reply([b'{"code": 1113, "msg": "Insufficient balance", "success": false}']), "quota"),
        (Reply([b'{"detail": "oops"}']), "server_error"),
        (Reply([b"<html>oops</html>"]), "broken_answer"),
        (plain([], None), "broken_answer"),
        (plain("Hal", "network_error"), "server_error"),
    ],
)
@pytest.mark.parametrize("streamed", [True, False], ids=["stream", "plain"])
async def test_a_failure_that_is_told_as_an_answer(
    provider: Provider, model: AnthropicModel, reply: Reply, reason: str, streamed: bool
) -> None:
    provider.will(reply)
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask(stream=streamed))
    assert caught.value.reason == reason


async def test_a_limit_that_is_told_with_status_200(provider: Provider, model: AnthropicModel) -> None:
    provider.will(Reply([b'{"type": "error", "error": {"type": "rate_limit_error", "message": "slow down"}}']))
    with pytest.raises(ModelRateLimited):
        await whole_answer(model, ask())


@pytest.mark.parametrize("last", [[STOP], []], ids=["message_stop", "stop_reason alone"])
async def test_an_answer_that_has_ended_does_not_wait_for_the_connection(
    provider: Provider, model: AnthropicModel, last: list[Any]
) -> None:
    reply = stream(start(COUNTED), text("Hi"), end(usage=COUNTED), *last)
    provider.will(replace(reply, ending="silent"))
    began_at = time.monotonic()
    async with asyncio.timeout(4):
        assert (await whole_answer(model, ask())).text == "Hi"
    assert time.monotonic() - began_at < 2


@pytest.mark.parametrize("ending", ["cut", "reset"])
async def test_a_connection_that_breaks_after_the_end_is_no_failure(
    provider: Provider, model: AnthropicModel, ending: str
) -> None:
    for events in ([end(usage=COUNTED), STOP], [end(usage=COUNTED)]):
        provider.will(stream(start(), text("Hi"), *events).ending_with(ending))  # type: ignore[arg-type]
        assert (await whole_answer(model, ask())).text == "Hi"


async def test_an_answer_leaves_its_connection_for_the_next(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("Hi"), end(usage=COUNTED), STOP, last=DONE))
    for _ in range(3):
        await whole_answer(model, ask())
    assert provider.connections == 1


@pytest.mark.parametrize("pause", [0, 0.05])
async def test_marks_of_the_end_that_come_later_are_waited_for(
    provider: Provider, model: AnthropicModel, pause: float
) -> None:
    pieces = [event(one) for one in [start(), *text("Hi"), end(), end(None, COUNTED), STOP]]
    provider.will(Reply(pieces, pause=pause))
    assert (await whole_answer(model, ask())).end.usage == Usage(10, 5)
