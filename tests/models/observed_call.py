"""One call of a scripted model, and all that is told of it."""

from itertools import count
from typing import NamedTuple

from prometheus_client import REGISTRY

from app.messages import ToolCall, Usage, UserMessage
from app.models.call_records import Attempt
from app.models.protocol import Beside, ModelRequest, StopReason
from app.runs.events import Event, Reasoning, Token, UsageReported
from app.telemetry.traces import Tracing
from tests.doubles import CHEAP, ScriptedModel, Step, resilient

_numbers = count()


class Reply(NamedTuple):
    """A complete answer, with its text as it was told."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    stop_reason: StopReason
    usage: Usage
    cost_usd: float


class Stage:
    """One model of a name of its own, whose metrics thus start at nothing, and what a call of it leaves behind."""

    def __init__(self, *script: Step, tracing: Tracing | None = None) -> None:
        self.model = ScriptedModel(script, name=f"model-call-{next(_numbers)}")
        self.priced = resilient(self.model, CHEAP, tracing)
        self.events: list[Event] = []
        self.attempts: list[Attempt] = []

    async def call(self, *, stream: bool = True, max_tokens: int = 100, max_reasoning_tokens: int = 0) -> Reply:
        request = ModelRequest(
            "Be brief.",
            [UserMessage("Hello")],
            max_tokens=max_tokens,
            stream=stream,
            max_reasoning_tokens=max_reasoning_tokens,
        )
        done = await self.priced.generate(request, self._on_text, self._on_beside, self._on_attempt)
        self.events.append(UsageReported(done.model, done.usage, done.cost_usd))
        text = "".join(event.text for event in self.events if isinstance(event, Token))
        return Reply(text, done.tool_calls, done.stop_reason, done.usage, done.cost_usd)

    def _on_text(self, text: str) -> None:
        self.events.append(Token(text))

    def _on_beside(self, kind: Beside, text: str) -> None:
        if kind == "reasoning":
            self.events.append(Reasoning(text))

    def _on_attempt(self, attempt: Attempt) -> None:
        self.attempts.append(attempt)

    @property
    def used(self) -> list[tuple[Usage, float]]:
        return [(attempt.usage, attempt.cost_usd) for attempt in self.attempts]

    @property
    def uncertain(self) -> list[bool]:
        return [attempt.uncertain for attempt in self.attempts]

    def metric(self, name: str, **labels: str) -> float | None:
        return REGISTRY.get_sample_value(name, {"model": self.model.ref, **labels})
