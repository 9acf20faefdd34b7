"""What servers that speak Anthropic's API refuse or do not have, and what they are told."""

from collections.abc import AsyncIterator

import pytest

from app.errors import ContextTooLong, ModelUnavailable
from app.messages import AssistantMessage, Message, ToolCall, ToolMessage, UserMessage
from app.models.options import ModelOptions
from app.models.protocol import ModelRequest
from app.models.providers.anthropic.model import AnthropicModel
from app.telemetry.context import RequestContext, current
from app.telemetry.outgoing import Outgoing
from app.telemetry.propagation import Propagation
from app.telemetry.traces import Tracing
from tests.logged import capture_logs
from tests.models.anthropic_events import STOP, end, start, stream, text
from tests.models.dialects import AnthropicDialect, Script
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import CALCULATOR, CLOCK, ask, whole_answer

dialect = AnthropicDialect()
USED = {"input_tokens": 10, "output_tokens": 5}
HI = stream(start(), text("Hi"), end(usage=USED), STOP)


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    yield made
    await made.aclose()


async def test_tools_that_are_refused_are_left_out_from_then_on(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.error(400, '"auto" tool choice requires --enable-auto-tool-choice'), HI)
    calls: list[Message] = [
        UserMessage("the time?"),
        AssistantMessage("", (ToolCall("a", "clock", {"zone": "UTC"}),)),
        ToolMessage("a", "clock", "noon"),
    ]
    with capture_logs() as logs:
        for _ in range(2):
            assert (await whole_answer(model, ModelRequest("", calls, (CLOCK,)))).text == "Hi"
    assert ["tools" in request.body for request in provider.received] == [True, False, False]
    assert [line["event"] for line in logs] == ["model.request_changed"]
    said = [block["text"] for message in provider.received[-1].body["messages"] for block in message["content"]]
    assert said == ["the time?", '[called clock with {"zone":"UTC"}]', "[clock returned: noon]"]


async def test_marks_for_the_cache_that_are_refused_are_left_out(provider: Provider, model: AnthropicModel) -> None:
    refusal = dialect.error(400, "system.0.cache_control: Extra inputs are not permitted")
    provider.will(refusal, HI)
    system = "Be brief. " * 1000
    request = ModelRequest(system, [UserMessage("hello")], (CALCULATOR,))
    assert (await whole_answer(model, request)).text == "Hi"
    assert ["cache_control" in str(request.body) for request in provider.received] == [True, False]
    assert provider.received[-1].body["system"] == system


async def test_the_answer_is_cut_to_the_room_that_is_left(provider: Provider, model: AnthropicModel) -> None:
    words = "input length and `max_tokens` exceed context limit: 199950 + 100 > 200000, decrease input length"
    provider.will(dialect.error(400, words), HI)
    with capture_logs():
        assert (await whole_answer(model, ask())).text == "Hi"
    assert [request.body["max_tokens"] for request in provider.received] == [100, 50]
    assert model.context_window == 200_000


async def test_a_prompt_that_is_too_long(provider: Provider, model: AnthropicModel) -> None:
    provider.will(dialect.error(400, "prompt is too long: 208310 tokens > 200000 maximum"))
    with pytest.raises(ContextTooLong):
        await whole_answer(model, ask())
    assert len(provider.received) == 1


async def test_options(provider: Provider) -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    options = ModelOptions(tools=False, reasons=True, parameters={"thinking": thinking, "made_up": 1})
    model = AnthropicModel("claude-test", provider.url, "sk-ant-secret", options=options, context_window=9)
    provider.will(dialect.error(400, "made_up: Extra inputs are not permitted"), HI)
    request = ModelRequest("", [UserMessage("hello")], (CLOCK,), max_tokens=100, max_reasoning_tokens=2000)
    with capture_logs():
        assert (await whole_answer(model, request)).text == "Hi"
    first, second = (received.body for received in provider.received)
    assert (first["thinking"], first["made_up"], first["max_tokens"]) == (thinking, 1, 2100)
    assert second == {name: first[name] for name in first if name != "made_up"}
    assert "tools" not in first
    assert (model.reasons, model.context_window) == (True, 9)
    await model.aclose()


async def test_reasoning_between_tags_is_not_the_answer(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("<think>hm</think>\n\nHi"), end(usage=USED), STOP))
    told: list[str] = []
    thought: list[str] = []
    completion = await model.generate(ask(), told.append, lambda kind, piece: thought.append(piece))
    assert ("".join(told).strip(), "".join(thought)) == ("Hi", "hm")
    assert completion.extras is None
    assert model.reasons


async def test_a_tag_that_is_closed_only(provider: Provider, model: AnthropicModel) -> None:
    provider.will(stream(start(), text("hm</think>Hi"), end(usage=USED), STOP))
    await whole_answer(model, ask())
    answer = await whole_answer(model, ask())  # the first has taught that the tag is opened in the prompt
    assert answer.text == "Hi"


@pytest.mark.parametrize(
    ("reply", "alive"),
    [
        (Reply([b'{"id": "claude-test"}']), True),
        (Reply([b"<html>Not here</html>"], 404), True),
        (Reply([b'{"detail": "Not Found"}'], 404), True),
        (Reply([], 404), True),
        (Reply([b"Cannot GET /v1/models/claude-test"], 404), True),
        (dialect.error(404, "Not found: /v1/models/claude-test"), True),
        (dialect.error(404, "model: claude-test"), False),
        (dialect.error(400, "no"), True),
        (dialect.error(405, "no"), True),
        (dialect.error(422, "no"), True),
        (dialect.error(429, "no"), True),
        (dialect.error(501, "no"), True),
        (dialect.error(401, "no"), False),
        (dialect.error(403, "no"), False),
        (dialect.error(500, "no"), False),
        (dialect.error(503, "no"), False),
        (dialect.error(529, "no"), False),
    ],
)
async def test_a_server_without_descriptions_of_models_is_alive(
    provider: Provider, model: AnthropicModel, reply: Reply, alive: bool
) -> None:
    provider.will(reply)
    if alive:
        await model.probe()
    else:
        with pytest.raises(ModelUnavailable):
            await model.probe()


async def test_a_server_that_may_know_is_told_of_the_request(provider: Provider, model: AnthropicModel) -> None:
    outgoing = Outgoing(Tracing(None, Propagation(["127.0.0.1"])))
    told = AnthropicModel("claude-test", provider.url, "sk-ant-secret", outgoing=outgoing)
    provider.will(dialect.streamed(Script()), dialect.streamed(Script()))
    token = current.set(RequestContext("request-1", "0af7651916cd43dd8448eb211c80319c"))
    await whole_answer(told, ask())
    await whole_answer(model, ask())
    current.reset(token)
    headers, others = (request.headers for request in provider.received)
    assert headers["x-request-id"] == "request-1"
    assert headers["traceparent"] == "00-0af7651916cd43dd8448eb211c80319c-8448eb211c80319c-00"
    assert not {"x-request-id", "traceparent"} & others.keys()
    await told.aclose()
