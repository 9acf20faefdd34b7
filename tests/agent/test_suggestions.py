"""Suggestions: each rule speaks when it should, and is silent otherwise."""

from typing import Any

import pytest

from app.agent.loop import Progress
from app.agent.suggestions import Ran, suggest
from app.events import ToolCallRecord, Usage
from app.messages import AssistantMessage, Message, UserMessage
from app.models.build import PricedModel
from app.models.prices import FREE, Price, Rates
from app.tools import Tool, tool
from app.tools.registry import Registry
from tests.doubles import CHEAP, ScriptedModel, answers
from tests.stage import Stage

DEAR = Price((Rates(above=0, input=10.0, output=20.0, cache_read=5.0, cache_write=15.0),))
LONG: list[Message] = [UserMessage("x" * 4000), AssistantMessage("x" * 4000)]


def long_tool(number: int) -> Tool:
    async def function() -> None: ...

    function.__doc__ = "Long. " * 400
    return tool(name=f"tool-{number}")(function)


TOOLS = Registry([long_tool(1), long_tool(2)])


def ran(
    usage: Usage = Usage(100, 1000),  # noqa: B008 - frozen
    *,
    price: Price = FREE,
    history: list[Message] | None = None,
    tools: Registry | None = None,
    others: dict[str, Price] | None = None,
    **progress: Any,
) -> Ran:
    """A run that nothing can be said about, but for what is given."""
    own = PricedModel(ScriptedModel(), price)
    known = {"double/scripted": own} | {
        ref: PricedModel(ScriptedModel(), other) for ref, other in (others or {}).items()
    }
    done = Progress(usage=usage, cost_usd=price.cost_usd(usage), **({"iterations": 1} | progress))
    return Ran(done, history or [], own, known, tools or Registry())


def call(number: int) -> ToolCallRecord:
    return ToolCallRecord("double", {"number": number}, "ok", 1.0)


@pytest.mark.parametrize(
    ("run", "kinds"),
    [
        (ran(), []),
        (ran(Usage(2500, 1000), history=LONG), ["history-too-long"]),
        (ran(Usage(9000, 1000), history=LONG), []),  # it was not the history that was long
        (ran(Usage(9000, 1000), history=LONG, iterations=4), ["history-too-long"]),
        (ran(Usage(0, 1000), history=LONG), ["history-too-long"]),
        (ran(Usage(100, 100), price=DEAR, others={"cheap": CHEAP}), ["cheaper-model"]),
        (ran(Usage(100, 100), price=DEAR, others={"free": FREE, "cheap": CHEAP}), ["cheaper-model"]),
        (ran(Usage(100, 100), price=DEAR), []),
        (ran(Usage(100, 100), price=CHEAP, others={"dear": DEAR}), []),
        (ran(Usage(100, 100), price=FREE, others={"free": FREE}), []),
        (ran(Usage(100, 1000), price=DEAR, others={"cheap": CHEAP}), []),  # the answer was long
        (ran(Usage(100, 100), price=DEAR, others={"cheap": CHEAP}, iterations=3), []),
        (ran(Usage(5000, 1000), price=DEAR), ["cache-off"]),
        (ran(Usage(5000, 1000, 0, 4000), price=DEAR), ["cache-not-read"]),
        (ran(Usage(5000, 1000, 1000, 2000), price=DEAR), []),
        (ran(Usage(5000, 1000, 4000), price=DEAR), []),
        (ran(Usage(5000, 1000)), []),  # what is free need not be cached
        (ran(tools=TOOLS), ["tools-not-used"]),
        (ran(tools=TOOLS, tool_calls=[call(1)]), []),
        (ran(tools=Registry([long_tool(1)])), []),
        (ran(tool_calls=[call(1), call(2), call(1)]), ["same-call-again"]),
        (ran(tool_calls=[call(1), call(2)]), []),
        (ran(finish_reason="max_iterations"), ["ended-by-limit"]),
    ],
)
def test_what_is_suggested(run: Ran, kinds: list[str]) -> None:
    suggestions = suggest(run)
    assert [suggestion.kind for suggestion in suggestions] == kinds
    assert all(suggestion.detail.endswith(".") for suggestion in suggestions)


def test_the_cheapest_model_is_named_with_what_it_would_have_cost() -> None:
    [suggestion] = suggest(ran(Usage(100, 100), price=DEAR, others={"cheap": CHEAP, "dearer": DEAR}))
    assert 'cheap would have cost $0.000300 instead of $0.003000: ask with "model": "cheap"' in suggestion.detail


async def test_suggestions_are_made_for_those_who_ask() -> None:
    stage = Stage(ScriptedModel(answers("It is", reason="max_tokens")))
    assert (await stage.answer()).suggestions == ()
    [suggestion] = (await stage.answer(suggestions=True)).suggestions
    assert suggestion.kind == "ended-by-limit"
