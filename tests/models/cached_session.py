"""Sessions of many turns with an Anthropic that keeps account of what it has read before."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from app.messages import ToolCall, Usage
from app.models.prices import Price, price_of
from app.models.providers.anthropic.caching import Ttl
from app.models.providers.anthropic.model import AnthropicModel
from app.runs.events import Answer
from app.state.bounds import Bounds
from app.tools import Tool, tool
from tests.models.caching_anthropic import Bill, CachingAnthropic
from tests.models.dialects import Script
from tests.stage import Stage

MODEL = "claude-sonnet-5"
TURNS = 40
TOOLS = 10
SYSTEM = "You answer questions about orders. " * 60
_AMPLE: dict[str, Any] = {"max_run_tokens": 10_000_000, "max_cost_usd": 1000, "budget_user_day_usd": None}


def tools() -> list[Tool]:
    """Ten of an ordinary size."""

    def numbered(number: int) -> Tool:
        async def look_up(order: str, size: int = 100) -> str:
            """Look up an order: its state, its items, where it is, who has it, and since when. Use it for each order
            that the question names, and say in the answer what you have looked at, and when."""
            return words(order, size)

        look_up.__name__ = f"look_up_{number}"
        return tool(trusted=True, effect="read")(look_up)

    return [numbered(number) for number in range(TOOLS)]


def words(about: str, size: int) -> str:
    """So many characters about something."""
    return (f"{about} is on its way. " * size)[:size]


@dataclass(frozen=True)
class Shape:
    """How each turn of a session looks: how long its texts are, and its rounds of calls before the answer."""

    question: int = 120
    answer: int = 500
    rounds: int = 0
    at_once: int = 1
    result: int = 600
    thought: int = 0

    def script(self, body: dict[str, Any]) -> Script:
        """What the model answers, different each time."""
        done = _rounds_in(body["messages"])
        about = f"Part {sum(len(message['content']) for message in body['messages'])}.{done}"
        if done < self.rounds and "tools" in body and "tool_choice" not in body:
            calls = [
                ToolCall(f"toolu_{len(str(body))}_{number}", f"look_up_{number % TOOLS}", self._arguments(about))
                for number in range(self.at_once)
            ]
            return Script((), calls, usage=Usage(0, 20 * self.at_once))
        return Script((words(about, self.answer),), usage=Usage(0, self.answer // 4))

    def _arguments(self, about: str) -> dict[str, Any]:
        return {"order": about, "size": self.result}


def _rounds_in(messages: Sequence[dict[str, Any]]) -> int:
    """Since the last question."""
    rounds = 0
    for message in reversed(messages):
        if message["role"] == "user" and message["content"][0]["type"] == "text":
            break
        rounds += message["role"] == "assistant"
    return rounds


@dataclass(frozen=True)
class Held:
    """A session that is over: each turn's answer and its calls, as the provider billed them."""

    answers: list[Answer]
    turns: list[list[Bill]]
    requests: list[dict[str, Any]]

    def bills(self, after: int = 0) -> list[Bill]:
        """Of the turns after the first so many."""
        return [bill for turn in self.turns[after:] for bill in turn]

    def share_read(self, after: int = 5) -> float:
        """The part of the input that came from the cache."""
        bills = self.bills(after)
        return sum(bill.usage.cache_read_tokens for bill in bills) / sum(bill.usage.input_tokens for bill in bills)

    def breaks(self) -> int:
        """Turns that did not begin with all that the call before them was given."""
        return sum(later[0].shared < earlier[-1].usage.input_tokens for earlier, later in pairwise(self.turns))


async def hold(
    shape: Shape = Shape(),
    turns: int = TURNS,
    *,
    max_turns: int = 100,
    max_bytes: int = 262_144,
    pause: float = 1.0,
    ttl: Ttl = "5m",
    session_id: str | None = "s",
    with_tools: bool = True,
    **settings: Any,
) -> Held:
    """`pause` is how many seconds pass between two turns."""
    async with CachingAnthropic(shape.script, thought=words("Thinking", shape.thought)) as provider:
        model = AnthropicModel(MODEL, provider.url, "sk-ant-secret", cache_ttl=ttl)
        stage = Stage(
            model,  # type: ignore[arg-type]
            tools=tools() if with_tools else (),
            price=_price(ttl),
            bounds=Bounds(ttl_seconds=3600, max_turns=max_turns, max_bytes=max_bytes),
            agents={"clerk": {"system_prompt": SYSTEM}},
            **(_AMPLE | settings),
        )
        answers, billed = [], []
        for turn in range(turns):
            before = len(provider.bills)
            question = words(f"Order {turn}", shape.question)
            answers.append(await stage.answer(question, session_id=session_id, agent="clerk"))
            billed.append(provider.bills[before:])
            provider.now += pause
        await model.aclose()
        return Held(answers, billed, [request.body for request in provider.received])


def _price(ttl: Ttl) -> Price:
    price = price_of(f"anthropic/{MODEL}", cache_ttl=ttl)
    assert price
    return price
