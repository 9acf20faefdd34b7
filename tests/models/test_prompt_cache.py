"""What of a session is read from the provider's cache: the real SDK against an Anthropic that keeps account."""

from itertools import pairwise
from typing import Any

import pytest
from prometheus_client import REGISTRY

from app.messages import Usage, UserMessage
from app.models.protocol import ModelRequest
from app.models.providers.anthropic.caching import Marks, least_tokens
from app.models.providers.anthropic.model import AnthropicModel
from tests.models.cached_session import MODEL, SYSTEM, Held, Shape, hold
from tests.models.caching_anthropic import Bill
from tests.models.dialects import AnthropicDialect, Script
from tests.models.servers import Provider
from tests.models.whole_answer import CALCULATOR, ask, whole_answer

SHAPES = {
    "questions and answers": Shape(),
    "short ones": Shape(question=40, answer=200),
    "a tool in each turn": Shape(rounds=1),
    "long results": Shape(rounds=1, result=2500),
    "several rounds of calls": Shape(rounds=4),
    "a limit of calls that each turn comes to": Shape(rounds=20),
    "thoughts that have to go back": Shape(rounds=1, thought=400),
    "more calls at once than are looked back over": Shape(rounds=2, at_once=12, result=40, answer=200),
}


@pytest.mark.parametrize("bounds", [{}, {"max_turns": 4}], ids=["ample", "small"])
@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
async def test_four_fifths_of_the_input_are_read_from_the_cache(shape: Shape, bounds: dict[str, Any]) -> None:
    held = await hold(shape, **bounds)
    assert held.share_read() >= 0.8
    assert held.breaks() <= 25


async def test_a_history_that_is_not_full_is_never_written_twice() -> None:
    held = await hold(history_max_tokens=100_000)
    assert held.breaks() == 0
    for earlier, later in pairwise(held.bills()):
        assert later.usage.cache_read_tokens == earlier.usage.input_tokens


async def test_what_is_counted_and_paid_is_what_the_provider_says() -> None:
    held = await hold(SHAPES["several rounds of calls"], 8)
    for answer, bills in zip(held.answers, held.turns, strict=True):
        assert answer.usage == sum((bill.usage for bill in bills), Usage())
        assert answer.cost_usd == pytest.approx(sum(usd(bill, write=2.5) for bill in bills))


def usd(bill: Bill, write: float) -> float:
    """By the list of prices, with what writing costs there."""
    usage = bill.usage
    read, written = usage.cache_read_tokens, usage.cache_write_tokens
    fresh = usage.input_tokens - read - written
    return (2.0 * fresh + 0.2 * read + write * written + 10.0 * usage.output_tokens) / 1e6


def counted(kind: str) -> float:
    return REGISTRY.get_sample_value("agent_tokens_total", {"model": f"anthropic/{MODEL}", "type": kind}) or 0.0


async def test_the_share_that_is_read_follows_from_the_metrics() -> None:
    before = counted("cache_read"), counted("input")
    held = await hold(turns=8)
    read, all_of_it = counted("cache_read") - before[0], counted("input") - before[1]
    assert read / all_of_it == held.share_read(0) > 0.8


async def test_what_is_kept_for_an_hour_is_read_after_half_of_it_and_costs_twice_the_input() -> None:
    short, long = [await hold(turns=8, pause=1800, ttl=ttl) for ttl in ("5m", "1h")]
    assert (short.share_read(1), long.share_read(1) > 0.8) == (0, True)
    first = long.turns[0][0]
    assert first.by_ttl == {"1h": first.usage.cache_write_tokens}
    assert long.answers[0].cost_usd == pytest.approx(usd(first, write=4.0))


async def test_a_question_that_nothing_follows_is_not_kept() -> None:
    one = await hold(turns=1, session_id=None, with_tools=False)
    assert marked(one, 0) == [SYSTEM]
    with_tools = await hold(turns=1, session_id=None)
    assert len(marked(with_tools, 0)) == 3


def marked(held: Held, place: int) -> list[str]:
    """What is marked in a request: texts, or the names of tools."""
    body = held.requests[place]
    blocks = [*body.get("tools", ()), *body["system"]]
    blocks += [block for message in body["messages"] for block in message["content"]]
    return [block.get("name") or block.get("text") or block["content"] for block in blocks if "cache_control" in block]


@pytest.mark.parametrize(
    ("model", "tokens"),
    [
        ("claude-opus-5-5", 512),
        ("claude-sonnet-5-5", 512),
        ("claude-sonnet-5", 1024),
        ("claude-sonnet-5-20260801", 1024),
        ("claude-opus-4-8", 1024),
        ("claude-opus-4-7", 2048),
        ("claude-opus-4-5-20251101", 4096),
        ("claude-haiku-4-5", 4096),
        ("claude-sonnet-4-20250514", 1024),
        ("claude-3-haiku-20240307", 2048),
        ("deepseek-v4", 512),
    ],
)
def test_the_least_that_a_model_keeps(model: str, tokens: int) -> None:
    assert least_tokens(model) == tokens


async def test_a_beginning_that_is_too_short_to_be_kept_is_not_marked(provider: Provider) -> None:
    model = AnthropicModel("claude-haiku-4-5", provider.url, "sk-ant-secret")
    provider.will(AnthropicDialect().streamed(Script()))
    await whole_answer(model, ask(tools=(CALCULATOR,)))
    long = ModelRequest("Be brief.", [UserMessage("x" * 9000)], (CALCULATOR,), conversation="s")
    await whole_answer(model, long)
    await model.aclose()
    short, longer = (str(request.body).count("cache_control") for request in provider.received)
    assert (short, longer) == (0, 1)


def test_marks_say_how_long_only_where_it_is_not_the_default() -> None:
    assert Marks.of("claude-opus-5", "5m").control == {"type": "ephemeral"}
    assert Marks.of("claude-opus-5", "1h").control == {"type": "ephemeral", "ttl": "1h"}
