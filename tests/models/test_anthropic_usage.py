"""Usage in answers of servers that speak Anthropic's API: in whichever events it comes, else estimated."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from app.messages import Usage
from app.models.providers.anthropic.model import AnthropicModel
from tests.logged import capture_logs
from tests.models.anthropic_events import STOP, call, end, plain, start, stream, text
from tests.models.servers import Provider, Reply
from tests.models.whole_answer import ask, whole_answer

COUNTED = {"input_tokens": 10, "output_tokens": 5}


@pytest.fixture
async def model(provider: Provider) -> AsyncIterator[AnthropicModel]:
    made = AnthropicModel("claude-test", provider.url, "sk-ant-secret")
    yield made
    await made.aclose()


@pytest.mark.parametrize(
    ("begin", "finish", "usage"),
    [
        (COUNTED, None, Usage(10, 5)),
        ({"input_tokens": 10, "output_tokens": 0}, {"input_tokens": 0, "output_tokens": 5}, Usage(10, 5)),
        ({"input_tokens": 0, "output_tokens": 0}, COUNTED, Usage(10, 5)),
        ({"input_tokens": 10.0, "output_tokens": None}, {"output_tokens": 5.0}, Usage(10, 5)),
        ({"input_tokens": "10", "output_tokens": "x"}, {"output_tokens": "5"}, Usage(10, 5)),
        (COUNTED, {"output_tokens": 7}, Usage(10, 7)),
        (COUNTED, {"input_tokens": None, "output_tokens": 7, "cache_read_input_tokens": 3}, Usage(13, 7, 3)),
        ({"input_tokens": 0, "cache_read_input_tokens": 9}, {"output_tokens": 5}, Usage(9, 5, 9)),
    ],
)
async def test_usage(provider: Provider, model: AnthropicModel, begin: Any, finish: Any, usage: Usage) -> None:
    provider.will(stream(start(begin), text("Hi, I am here"), end(usage=finish), STOP))
    assert (await whole_answer(model, ask())).end.usage == usage


@pytest.mark.parametrize("reply", [stream(start(), text("x" * 400), end(), STOP), plain("x" * 400)])
async def test_usage_that_is_left_out_is_estimated_with_one_warning(
    provider: Provider, model: AnthropicModel, reply: Reply
) -> None:
    provider.will(reply)
    with capture_logs() as logs:
        for _ in range(2):
            usage = (await whole_answer(model, ask("word " * 100))).end.usage
    assert usage.input_tokens > 100
    assert usage.output_tokens == 100
    assert [line["event"] for line in logs] == ["model.usage_missing"]


async def test_a_call_counts_as_output(provider: Provider, model: AnthropicModel) -> None:
    arguments = json.dumps({"expression": "1" * 382})
    provider.will(
        stream(start({"input_tokens": 9, "output_tokens": 1}), call(0, "t", "calculator", arguments), end(), STOP)
    )
    assert (await whole_answer(model, ask())).end.usage == Usage(9, 100)
