"""One run of the loop on a stage of its own: a scripted model, some tools, limits that are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.agents.definition import Agent, RunLimits
from app.limits.allowance import Growth
from app.limits.budgets import NANOS
from app.limits.limiter import CHAT, Limiter
from app.messages import Message, Usage, UserMessage
from app.models.catalog import PricedModel
from app.models.prices import FREE, Price
from app.runs.events import Event
from app.runs.loop import Loop
from app.runs.progress import Progress
from app.runs.toolset import toolset
from app.settings import load
from app.state.in_process import InProcessStore
from app.telemetry.traces import Tracing
from app.tools import Tool
from app.tools.registry import Registry
from tests.doubles import ADA, Script, ScriptedModel

AMPLE = 10_000_000


@dataclass
class Rehearsal:
    """One run of the loop: what it is given, and what came of it."""

    model: ScriptedModel
    tools: Sequence[Tool] = ()
    price: Price = FREE
    max_iterations: int = 10
    max_tokens: int = 1000
    max_cost_usd: float = 100.0
    reserved_tokens: int = AMPLE
    reserved_usd: float = 100.0
    stream: bool = True
    system: str = "Be brief."
    shown_chars: int = 0
    less: Sequence[Message] | None = None
    """A conversation that is shorter than the first."""
    events: list[Event] = field(default_factory=list)
    progress: Progress = field(default_factory=Progress)
    settled: list[Usage] = field(default_factory=list)
    """What had been used each time the loop settled."""

    async def run(self, *conversation: Message) -> Progress:
        reserved = (self.reserved_tokens, round(self.reserved_usd * NANOS))
        loop = Loop(
            tracing=Tracing(None),
            agent=Agent("default", self.system, tuple(tool.name for tool in self.tools)),
            model=PricedModel(self.model, self.price),
            tools=toolset(Registry(self.tools)),
            limits=RunLimits(self.max_iterations, self.max_tokens, AMPLE, self.max_cost_usd),
            stream=self.stream,
            emit=self.events.append,
            reservation=Limiter(load(None), InProcessStore()).reservation(ADA, CHAT, "a-run", reserved),
            settle=self._settle,
            recall_less=lambda: self.less,
            shown_chars=self.shown_chars,
        )
        await loop.run(conversation or [UserMessage("Hello")], self.progress)
        return self.progress

    async def _settle(self, growth: Growth | None) -> None:
        self.settled.append(self.progress.usage)

    def named(self) -> list[str]:
        return [event.name for event in self.events]


def rehearse(*scripts: Script, tools: Sequence[Tool] = ()) -> Rehearsal:
    return Rehearsal(ScriptedModel(*scripts), tools)
