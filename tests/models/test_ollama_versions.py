"""What Ollama's versions, and servers that speak its API, send in their own way."""

from typing import Any

import pytest

from app.errors import ContextTooLong, ModelUnavailable
from app.messages import AssistantMessage, Extras, ToolCall, Usage, UserMessage
from app.models.options import ModelOptions
from app.models.protocol import Completion, ModelRequest
from app.models.providers.http import Http
from app.models.providers.ollama.model import OllamaModel
from tests.logged import capture_logs
from tests.models.dialects import NUM_CTX, OllamaDialect, Script, dump
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import ask, whole_answer

COUNTS = {"prompt_eval_count": 10, "eval_count": 5}
HI = {"message": {"role": "assistant", "content": "Hi"}, "done": False}
LAST = {"message": {"role": "assistant", "content": ""}, "done": True, "done_reason": "stop", **COUNTS}


@pytest.fixture
def model(provider: Provider, http: Http) -> OllamaModel:
    return OllamaModel("qwen2.5:3b", provider.url, NUM_CTX, "5m", http)


def lines(*values: Any, end: str = "\n") -> Reply:
    return Reply([f"{dump(value)}{end}".encode() for value in values])


async def heard(model: OllamaModel, request: ModelRequest) -> tuple[Completion, str, list[tuple[str, str]]]:
    texts: list[str] = []
    beside: list[tuple[str, str]] = []
    completion = await model.generate(request, texts.append, lambda kind, piece: beside.append((kind, piece)))
    return completion, "".join(texts), [(kind, piece) for kind, piece in beside if piece or kind == "arguments"]


@pytest.mark.parametrize(
    "reply",
    [
        lines(HI, LAST),
        lines(HI, LAST, end="\r\n"),
        lines(HI, LAST, end="\n\n"),
        Reply([lines(HI, LAST).whole().rstrip()]),
        Reply([b"\xef\xbb", b"\xbf", *lines(HI, LAST).pieces]),
        lines(HI, {**LAST, "done_reason": None}),
        lines(HI, {**LAST, "done_reason": "unload"}),
        lines(HI, {**LAST, "message": None, "error": ""}),
        lines(HI, {"message": {"content": None, "thinking": None, "tool_calls": None}, "done": None}, LAST),
        lines(HI, {**LAST, "prompt_eval_count": 10.0, "eval_count": "5"}),
        lines({**LAST, "message": {"content": "Hi"}}),
    ],
)
@pytest.mark.parametrize("stream", [True, False], ids=["stream", "plain"])
async def test_an_answer(provider: Provider, model: OllamaModel, reply: Reply, stream: bool) -> None:
    provider.will(reply)
    answer = await whole_answer(model, ask(stream=stream))
    assert (answer.text, answer.end.stop_reason, answer.end.usage) == ("Hi", "stop", Usage(10, 5))


async def test_a_plain_answer_may_be_printed_for_people_and_not_say_that_it_is_done(
    provider: Provider, model: OllamaModel
) -> None:
    provider.will(Reply([b'{\n  "message": {\n    "content": "Hi"\n  }\n}']))
    assert (await whole_answer(model, ask(stream=False))).text == "Hi"


@pytest.mark.parametrize(
    "counts",
    [
        {},
        {"prompt_eval_count": None, "eval_count": None},
        {"prompt_eval_count": 0, "eval_count": 0},
        {"eval_count": "x"},
    ],
)
async def test_counts_that_are_missing_are_estimated_with_one_warning(
    provider: Provider, model: OllamaModel, counts: Any
) -> None:
    provider.will(lines({"message": {"content": "x" * 400}}, {"done": True, **counts}))
    with capture_logs() as logs:
        for _ in range(2):
            usage = (await whole_answer(model, ask("word " * 100))).end.usage
    assert usage.input_tokens > 100
    assert usage.output_tokens == 100
    assert [line["event"] for line in logs] == ["model.usage_missing"]


@pytest.mark.parametrize(
    ("arguments", "parsed", "malformed"),
    [
        ({"zone": "UTC"}, {"zone": "UTC"}, ""),
        ('{"zone": "UTC"}', {"zone": "UTC"}, ""),
        (None, {}, ""),
        ("null", {}, ""),
        ("", {}, ""),
        ("{zone", {}, "{zone"),
    ],
)
async def test_arguments(provider: Provider, model: OllamaModel, arguments: Any, parsed: Any, malformed: str) -> None:
    calls = [{"function": {"name": "clock", "arguments": arguments}}, {"function": {"name": ""}}, {"function": None}]
    provider.will(lines({"message": {"tool_calls": calls}}, LAST))
    completion, _, beside = await heard(model, ask())
    assert [(call.name, call.arguments, call.malformed) for call in completion.tool_calls] == [
        ("clock", parsed, malformed)
    ]
    assert completion.stop_reason == "tool_calls"
    assert [kind for kind, _ in beside] == ["arguments"]


async def test_calls_with_the_same_id_are_two(provider: Provider, model: OllamaModel) -> None:
    call = {"id": "call_1", "function": {"name": "clock", "arguments": {}}}
    provider.will(lines({"message": {"tool_calls": [call, call]}}, LAST))
    before = AssistantMessage("", (ToolCall("call_1", "clock", {}),))
    completion, _, _ = await heard(model, ModelRequest("", [UserMessage("hello"), before]))
    assert len({"call_1", *(made.id for made in completion.tool_calls)}) == 3


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (lines(HI, {"error": "model runner has unexpectedly stopped"}), "server_error"),
        (lines(HI, {"error": {"message": "oops", "code": 503}}), "overloaded"),
        (lines(HI), "cut_stream"),
        (lines({"done": True, "done_reason": "load"}), "overloaded"),
        (lines({"message": {"content": ""}, "done": True, "done_reason": "unload"}), "overloaded"),
        (lines(HI, {**LAST, "done_reason": "error"}), "server_error"),
        (lines("Hi"), "broken_answer"),
    ],
)
async def test_a_failure(provider: Provider, model: OllamaModel, reply: Reply, reason: str) -> None:
    provider.will(reply)
    with pytest.raises(ModelUnavailable) as caught:
        await whole_answer(model, ask())
    assert caught.value.reason == reason


async def test_a_failure_in_a_plain_answer(provider: Provider, model: OllamaModel) -> None:
    for body, reason in ((b'{"detail": "oops"}', "server_error"), (b"{}", "broken_answer"), (b"<p>", "broken_answer")):
        provider.will(Reply([body]))
        with pytest.raises(ModelUnavailable) as caught:
            await whole_answer(model, ask(stream=False))
        assert caught.value.reason == reason


async def test_length_is_max_tokens(provider: Provider, model: OllamaModel) -> None:
    provider.will(lines(HI, {**LAST, "done_reason": "length"}))
    assert (await whole_answer(model, ask())).end.stop_reason == "max_tokens"


async def test_too_long_in_the_clouds_words(provider: Provider, model: OllamaModel) -> None:
    provider.will(OllamaDialect().error(400, "prompt too long; exceeded max context length by 1200 tokens"))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())


async def test_thinking_is_told_and_goes_back_to_its_model(provider: Provider, model: OllamaModel) -> None:
    provider.will(lines({"message": {"content": "", "thinking": "h"}}, {"message": {"thinking": "m"}}, HI, LAST))
    completion, said, beside = await heard(model, ask())
    assert (said, beside) == ("Hi", [("reasoning", "h"), ("reasoning", "m")])
    assert completion.extras == Extras(model.ref, {"thinking": "hm"})
    assert completion.reasoning_tokens == 1
    for origin, sent in ((model.ref, {"thinking": "hm"}), ("ollama/other", {})):
        message = AssistantMessage(said, (), Extras(origin, {"thinking": "hm"}), interrupted=True)
        await whole_answer(model, ModelRequest("", [UserMessage("hello"), message, UserMessage("on")]))
        assert provider.received[-1].body["messages"][1] == {"role": "assistant", "content": "Hi", **sent}


async def test_thinking_between_tags_is_not_the_answer(provider: Provider, model: OllamaModel) -> None:
    pieces = ["<th", "ink>", "hm", "</think>", "\n\nHi", " <"]
    provider.will(lines(*({"message": {"content": piece}} for piece in pieces), LAST))
    completion, said, beside = await heard(model, ask())
    assert (said.strip(), "".join(piece for _, piece in beside)) == ("Hi <", "hm")
    assert completion.extras is None
    assert model.reasons


async def test_a_model_that_reasons_has_room_for_it(provider: Provider, http: Http) -> None:
    options = ModelOptions(reasons=True, tools=False, parameters={"think": True, "options": {"top_k": 1}})
    model = OllamaModel("qwen3", provider.url, NUM_CTX, "5m", http, options)
    provider.will(OllamaDialect().streamed(Script()))
    await whole_answer(model, ModelRequest("", [UserMessage("hello")], max_tokens=100, max_reasoning_tokens=900))
    sent = provider.received[0].body
    assert sent["options"] == {"num_ctx": NUM_CTX, "num_predict": 1000, "top_k": 1}
    assert sent["think"] is True
    assert "tools" not in sent


async def test_a_parameter_that_is_refused_is_left_out(provider: Provider, http: Http) -> None:
    model = OllamaModel("gemma", provider.url, NUM_CTX, "5m", http, ModelOptions(parameters={"think": True}))
    provider.will(OllamaDialect().error(400, '"gemma" does not support think'), OllamaDialect().streamed(Script()))
    with capture_logs() as logs:
        assert (await whole_answer(model, ask())).text == "Hello world."
    assert ["think" in request.body for request in provider.received] == [True, False]
    assert [line["event"] for line in logs] == ["model.request_changed"]


@pytest.mark.parametrize(
    ("reply", "alive"),
    [
        (Reply([b"404 page not found"], 404), True),
        (OllamaDialect().error(404, "model 'qwen2.5:3b' not found"), False),
        (OllamaDialect().error(405, "method not allowed"), True),
        (OllamaDialect().error(429, "slow down"), True),
        (OllamaDialect().error(403, "forbidden"), False),
        (OllamaDialect().error(500, "oops"), False),
    ],
)
async def test_a_server_without_descriptions_of_models_is_alive(
    provider: Provider, model: OllamaModel, reply: Reply, alive: bool
) -> None:
    provider.will(reply)
    if alive:
        await model.probe()
    else:
        with pytest.raises(ModelUnavailable):
            await model.probe()
