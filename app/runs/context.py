"""What all steps of one run share: values, from which and on which the functions of the other modules work."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from msgspec import Struct, field

from app.access.principal import Principal
from app.agents.definition import Agent, RunLimits
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.models.catalog import Models
from app.models.observed import ObservedModel
from app.runs.events import Event, Token
from app.runs.memory import Memory
from app.runs.plan import Costs
from app.runs.request import RunRequest
from app.runs.state import RunState, after
from app.runs.steps import Step
from app.runs.toolset import Toolset
from app.settings import Settings
from app.state.flights import Flight, Flights
from app.state.sessions import Sessions
from app.telemetry.traces import Tracing


@dataclass(frozen=True, slots=True)
class Services:
    """What all runs of a process share."""

    settings: Settings
    models: Models
    sessions: Sessions
    limiter: Limiter
    tracing: Tracing
    flights: Flights


class RunContext(Struct):
    """One run's. What comes before `steps` is given once, what comes after it is how far the run is."""

    services: Services
    principal: Principal
    request: RunRequest
    agent: Agent
    model: ObservedModel
    tools: Toolset
    limits: RunLimits
    costs: Costs
    reservation: Reservation
    memory: Memory
    emit: Callable[[Event], None]
    started: float = field(default_factory=time.perf_counter)  # by time.perf_counter()
    steps: list[Step] = []
    state: RunState = RunState()  # that the steps have come to
    pieces: list[str] = []  # of the text that the model is telling
    outside_seconds: float = 0.0  # spent in models and tools
    ends_at: float = inf  # on the event loop's clock
    flight: Flight | None = None
    """The run's place among equal ones, where its agent's answers are cached."""
    admitted: bool = False
    kept: bool = False  # what was said is on its way to the session

    def tell(self, text: str) -> None:
        """Let the reader have a piece of the answer: the only way to one. What is shown is what is kept."""
        self.pieces.append(text)
        self.emit(Token(text))

    def record(self, step: Step) -> None:
        """Add a fact to the run."""
        self.steps.append(step)
        self.state = after(self.state, step)

    @property
    def latency_ms(self) -> float:
        return round((time.perf_counter() - self.started) * 1000, 2)
