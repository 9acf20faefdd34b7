"""One run of the loop on a stage of its own: a scripted model, some tools, limits that are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from app.agents.catalog import default_agent
from app.agents.definition import RunLimits
from app.limits.allowance import Growth
from app.limits.limiter import CHAT, Limiter
from app.limits.reservation import Reservation
from app.messages import NANOS, Message, Usage, UserMessage
from app.models.prices import FREE, Price
from app.runs.context import Candidate, RunContext, Services
from app.runs.events import Event, FinishReason, ToolCallRecord
from app.runs.loop import loop
from app.runs.memory import Memory
from app.runs.plan import Costs
from app.runs.request import RunRequest
from app.runs.state import RunState
from app.runs.steps import Asked
from app.runs.toolset import toolset
from app.settings import load
from app.state.answer_cache import AnswerCache
from app.state.bounds import Bounds
from app.state.flights import Flights
from app.state.in_process import InProcessStore
from app.state.sessions import Sessions
from app.telemetry.traces import Tracing
from app.tools import Tool
from app.tools.registry import Registry
from tests.doubles import ADA, Script, ScriptedModel, models

AMPLE = 10_000_000


class SettlingOnly(Limiter):
    """Gives no more than was reserved, and tells the rehearsal each time the loop settles."""

    def __init__(self, rehearsal: "Rehearsal") -> None:
        super().__init__(load(None), InProcessStore())
        self._rehearsal = rehearsal

    async def settle(self, reservation: Reservation, growth: Growth | None = None, *, over: bool = True) -> None:
        await self._rehearsal.settle(growth)


class Forgetful(Memory):
    """Knows one conversation that is shorter than the first, or none."""

    less: Sequence[Message] | None = None

    def recall_less(self, model: str) -> Sequence[Message] | None:
        return self.less


@dataclass
class Progress:
    """What the run has come to: its state, and what is beside it."""

    context: RunContext

    @property
    def state(self) -> RunState:
        return self.context.state

    @property
    def text(self) -> str:
        return self.state.text

    @property
    def finish_reason(self) -> FinishReason | None:
        return self.state.finish_reason

    @property
    def iterations(self) -> int:
        return self.state.iterations

    @property
    def messages(self) -> list[Message]:
        return list(self.state.messages)

    @property
    def usage(self) -> Usage:
        return self.state.usage

    @property
    def cost_usd(self) -> float:
        return self.state.cost_usd

    @property
    def tool_calls(self) -> list[ToolCallRecord]:
        return list(self.state.tool_calls)

    @property
    def refused(self) -> bool:
        return self.state.refused

    @property
    def results_shortened(self) -> bool:
        return self.state.results_shortened

    @property
    def outside_seconds(self) -> float:
        return self.context.outside_seconds

    def interrupted(self) -> list[Message]:
        return self.state.interrupted("".join(self.context.pieces))


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
    settled: list[Usage] = field(default_factory=list)
    """What had been used each time the loop settled."""
    context: RunContext = field(init=False)

    async def run(self, *conversation: Message) -> Progress:
        self.context = self.prepared()
        self.context.record(Asked(conversation or (UserMessage("Hello"),)))
        await loop(self.context)
        return self.progress

    async def settle(self, growth: Growth | None) -> None:
        self.settled.append(self.context.state.usage)

    @property
    def progress(self) -> Progress:
        return Progress(self.context)

    def prepared(self, state: RunState = RunState()) -> RunContext:  # noqa: B008 - immutable
        """A run that has come to `state`."""
        settings = load(None, tool_result_chars=self.shown_chars)
        store = InProcessStore()
        known = models(self.model, price=self.price)
        limiter = SettlingOnly(self)
        sessions = Sessions(store, Bounds(ttl_seconds=60, max_turns=100))
        agent = default_agent(settings, tuple(tool.name for tool in self.tools))
        offered = toolset(Registry(self.tools))
        memory = Forgetful(sessions, settings.session_max_bytes, agent, ADA, "s", "m", UserMessage("Hello"))
        memory.less = self.less
        limits = RunLimits(self.max_iterations, self.max_tokens, AMPLE, self.max_cost_usd)
        reserved = (self.reserved_tokens, round(self.reserved_usd * NANOS))
        return RunContext(
            Services(settings, known, sessions, limiter, Tracing(None), Flights(AnswerCache(store, settings))),
            ADA,
            RunRequest("Hello", stream=self.stream),
            agent,
            (Candidate(known.primary, limits),),
            known.primary,
            offered,
            limits,
            Costs(self.price, self.system, offered.most_tokens),
            limiter.reservation(ADA, CHAT, "a-run", reserved),
            memory,
            self.events.append,
            state=state,
        )

    def named(self) -> list[str]:
        return [event.name for event in self.events]


def rehearse(*scripts: Script, tools: Sequence[Tool] = ()) -> Rehearsal:
    return Rehearsal(ScriptedModel(*scripts), tools)
