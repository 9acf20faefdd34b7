"""What all steps of one run share: values, from which and on which the functions of the other modules work."""

import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING, Any, TypeVar

from msgspec import Struct, field
from msgspec.structs import replace
from opentelemetry.trace import INVALID_SPAN, Link, Span

from app.access.principal import Principal
from app.agents.definition import Agent, RunLimits
from app.audit.audit import NO_AUDIT, Audit
from app.errors import AppError, GuardUnavailable
from app.limits.limiter import Limiter
from app.limits.reservation import Reservation
from app.models.call_records import Attempt
from app.models.catalog import Models
from app.models.protocol import Beside
from app.models.resilient import ResilientModel
from app.models.trail import Trail
from app.redaction.redactor import cleaned
from app.runs.events import Event, Reasoning, Token
from app.runs.memory import Memory
from app.runs.outcome import Outcome
from app.runs.plan import Costs
from app.runs.request import RunRequest
from app.runs.state import RunState, after
from app.runs.steps import Attempted, Step
from app.runs.toolset import Toolset
from app.settings import Settings
from app.state.feedback import Feedback
from app.state.flights import Flight, Flights
from app.state.sessions import Sessions
from app.telemetry.traces import Tracing

if TYPE_CHECKING:
    from app.models.router import Router
    from app.models.tiers import Tier
    from app.redaction.redactor import Redactor, TextFilter
    from app.runs.journal import Journal
    from app.runs.judging import Judging
    from app.runs.similar import SimilarQuestions
    from app.safety.judge import Judge
    from app.safety.verdict import InputGuard, Verdict
    from app.state.sessions import Recalled


V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Services:
    """What all runs of a process share."""

    settings: Settings
    models: Models
    sessions: Sessions
    limiter: Limiter
    tracing: Tracing
    flights: Flights
    feedback: Feedback | None = None
    """None: FEEDBACK_DAYS is 0."""
    similar: "SimilarQuestions | None" = None
    """None: SIMILAR_ANSWERS is `never`."""
    router: "Router | None" = None
    """None: MODEL_TIERS is not set."""
    redactor: "Redactor | None" = None
    """None: REDACT is `none`."""
    guard: "InputGuard | None" = None
    """None: no agent has its input checked."""
    judge: "Judge | None" = None
    """None: GUARD_MODEL is not set."""
    audit: Audit = NO_AUDIT


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may answer, and the run's limits with it."""

    model: ResilientModel
    limits: RunLimits


class Telling(Struct):
    """What a model is telling, as far as the reader must not have it yet."""

    text: "TextFilter"
    reasoning: "TextFilter"


class RunContext(Struct):
    """One run's. What comes before `steps` is given once, what comes after it is how far the run is.

    `candidates` are the models that may answer, by preference; `model`, `limits` and `costs` are those of the one
    whose turn it is.
    """

    services: Services
    principal: Principal
    request: RunRequest
    agent: Agent
    candidates: tuple[Candidate, ...]
    model: ResilientModel
    tools: Toolset
    limits: RunLimits
    costs: Costs
    reservation: Reservation
    memory: Memory
    emit: Callable[[Event], None]
    redactor: "Redactor | None" = None
    """Takes secrets, and the agent's system prompt, out of all that leaves the run."""
    started: float = field(default_factory=time.perf_counter)  # by time.perf_counter()
    steps: list[Step] = []
    state: RunState = RunState()  # that the steps have come to
    pieces: list[str] = []  # of the text that the model is telling
    telling: "Telling | None" = None  # what of it is held back, where a redactor looks for secrets
    beside: Beside | None = None  # what it wrote last beside them, and how many of them there were then
    beside_at: int = 0
    failures: list[AppError] = []  # of models, that the run went on after
    outside_seconds: float = 0.0  # spent in models and tools
    told_at: float = 0.0  # the first text or reasoning, by time.perf_counter()
    ends_at: float = inf  # on the event loop's clock
    flight: Flight | None = None
    """The run's place among equal ones, where its agent's answers are cached."""
    router: "Router | None" = None  # where the model is chosen by the question
    routed: bool = False  # it has been
    earlier: "Tier | None" = None  # then: the session's tier so far
    journal: "Journal | None" = None
    """Where its steps are written; None: nowhere, for it ends with its process."""
    recalled: "Coroutine[Any, Any, Recalled] | None" = None
    """What its session holds, where that was asked before its begin."""
    verdict: "Verdict | None" = None
    """On what its caller has written, where that was checked before its begin."""
    judging: "Judging | None" = None  # where its question is judged
    span: Span = INVALID_SPAN
    outcome: Outcome | None = None  # None: it is not over
    links: Sequence[Link] = ()  # of its span: to that of the worker before
    trail: Trail = field(default_factory=Trail)  # of its model calls
    admitted: bool = False
    kept: bool = False  # what was said is on its way to the session

    def tell(self, text: str) -> None:
        """Let the reader have a piece of the answer: the only way to one. What is shown is what is kept.

        Raises GuardUnavailable where it cannot be looked at.
        """
        if self.redactor is not None and not (text := self._telling(self.redactor).text.feed(text)):
            return
        self._tell(text)

    def tell_whole(self, text: str) -> None:
        """Let the reader have an answer that is clean, and known as a whole."""
        self._tell(text)

    def _tell(self, text: str) -> None:
        if not self.told_at:
            self.told_at = time.perf_counter()
        self.pieces.append(text)
        self.emit(Token(text))

    def tell_reasoning(self, text: str) -> None:
        """Let the reader have a piece of what the model thinks. Raises as `tell` does."""
        if self.redactor is not None and not (text := self._telling(self.redactor).reasoning.feed(text)):
            return
        self._tell_reasoning(text)

    def _tell_reasoning(self, text: str) -> None:
        if not self.told_at:
            self.told_at = time.perf_counter()
        self.emit(Reasoning(text))

    def _telling(self, redactor: "Redactor") -> "Telling":
        if self.telling is None:
            new = redactor.filter if self.request.stream else redactor.whole
            self.telling = Telling(new("".join(self.pieces)), new())
        return self.telling

    def end_telling(self, *, cut: bool = False) -> bool:
        """The model says no more, or was `cut`: the reader is told what was held back. Returns whether something has
        been taken out of its text. Raises GuardUnavailable, unless it was cut."""
        telling, self.telling = self.telling, None
        if telling is None:
            return False
        try:
            if thought := telling.reasoning.end(cut=cut):
                self._tell_reasoning(thought)
            if text := telling.text.end(cut=cut):
                self._tell(text)
        except GuardUnavailable:
            if not cut:
                raise
        return telling.text.redacted

    def break_off(self) -> None:
        """The model's answer was cut: what is held back leaves, as far as it may, if something has left before."""
        if self.telling is not None and (self.pieces or self.beside == "reasoning" or not self.request.stream):
            self.end_telling(cut=True)
        self.telling = None

    def clean(self, value: V) -> V:
        """A text, or a JSON value, without secrets. Raises GuardUnavailable where it cannot be looked at."""
        return cleaned(self.redactor, value)

    def use(self, candidate: Candidate) -> None:
        """Have this model answer from now on."""
        self.model, self.limits = candidate.model, candidate.limits
        self.costs = replace(self.costs, price=candidate.model.dearest)
        self.memory.model = "" if candidate is self.candidates[0] else candidate.model.ref

    @property
    def fallback_from(self) -> str | None:
        """The model that was meant to answer, where another one does."""
        intended = self.candidates[0].model
        return None if intended is self.model else intended.ref

    @property
    def attempts(self) -> int:
        """Calls of models so far, those that failed and the one that goes on included."""
        return self.state.attempts + self.trail.attempts

    def record(self, step: Step) -> None:
        """Add a fact to the run."""
        self.steps.append(step)
        self.state = after(self.state, step)

    def pay(self, attempt: Attempt) -> None:
        """Book what a call of a model has cost."""
        self.record(Attempted(attempt.model, attempt.usage, attempt.nanos, attempt.uncertain))
        self.reservation.record(
            attempt.model, attempt.usage, attempt.cost_usd, uncertain=attempt.uncertain, shared=attempt.shared
        )
