"""Doubles at the service's own protocols: a model that plays a script, and what a run needs around it."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from app.access.principal import ANY_TOOL, Principal
from app.messages import ToolCall, Usage
from app.models.catalog import Models
from app.models.observed import ObservedModel
from app.models.prices import FREE, Price, Rates
from app.models.protocol import Beside, Completion, ModelRequest, OnBeside, OnText, StopReason, unheard
from app.models.providers.http import Http
from app.models.resilient import ResilientModel
from app.state.store import Argument, unavailable
from app.telemetry.traces import Tracing

Step = str | tuple[Beside, str] | Completion | BaseException | asyncio.Event
"""Text to tell, what is written beside it, how the answer ends, an error to raise, or something to wait for."""

Script = Sequence[Step]

USAGE = Usage(input_tokens=10, output_tokens=5)
"""What a scripted call uses unless it is told otherwise."""

CHEAP = Price((Rates(above=0, input=1.0, output=2.0, cache_read=0.5, cache_write=1.5),))
"""US dollars a million tokens."""

ADA = Principal("ada", scopes=frozenset({"chat", "runs", ANY_TOOL}), authenticated=True)


def answers(*pieces: str, usage: Usage = USAGE, reason: StopReason = "stop") -> Script:
    return [*pieces, Completion(reason, usage)]


def asks_for(*calls: ToolCall, text: str = "", usage: Usage = USAGE) -> Script:
    return [*([text] if text else []), Completion("tool_calls", usage, calls)]


class ScriptedModel:
    """Plays one script a call, in their order; the last one again and again."""

    provider = "double"
    reasons = False

    def __init__(self, *scripts: Script, name: str = "scripted") -> None:
        self.name = name
        self.context_window: int | None = None
        self.requests: list[ModelRequest] = []
        self.opened = asyncio.Event()
        """Set when a call has begun."""
        self.open = 0
        """Calls that have begun and are not over."""
        self.closed = False
        self.pause = 0.0
        """Seconds before the first step."""
        self._scripts = scripts

    @property
    def ref(self) -> str:
        return f"double/{self.name}"

    async def generate(self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard) -> Completion:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        self.open += 1
        self.opened.set()
        try:
            if self.pause:
                await asyncio.sleep(self.pause)
            for step in script:
                match step:
                    case str():
                        on_text(step)
                    case (kind, text):
                        on_beside(kind, text)
                    case Completion():
                        return step
                    case BaseException():
                        raise step
                    case asyncio.Event():
                        await step.wait()
            raise AssertionError("a script without an end")
        finally:
            self.open -= 1

    async def probe(self) -> None:
        return

    async def aclose(self) -> None:
        self.closed = True


def models(
    *scripted: ScriptedModel,
    price: Price = FREE,
    prices: Mapping[str, Price] = {},
    tracing: Tracing | None = None,
) -> Models:
    """`prices` are those of models that differ from `price`, by their references."""
    return Models({model.ref: resilient(model, prices.get(model.ref, price), tracing) for model in scripted}, Http())


def resilient(model: ScriptedModel, price: Price = FREE, tracing: Tracing | None = None) -> ResilientModel:
    return ResilientModel(ObservedModel(model, price), tracing=tracing)


class AbsentStore:
    """A store that is away; `calls` are the commands that were tried."""

    def __init__(self) -> None:
        self.calls: list[tuple[Argument, ...]] = []

    def call(self, *command: Argument) -> asyncio.Future[Any]:
        self.calls.append(command)
        refused: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        refused.set_exception(unavailable(ConnectionError("away")))
        refused.exception()  # looked at, or asyncio reports it when the caller does not
        return refused

    async def aclose(self) -> None:
        return
