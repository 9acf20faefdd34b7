"""One attempt of a model call: a log line, metrics and a price, however it ends."""

from collections.abc import Callable
from time import perf_counter

from msgspec import Struct
from msgspec.structs import replace

from app.errors import ModelError
from app.messages import NANOS, Usage
from app.models.call_records import Attempt, record_answer, record_failure
from app.models.estimates import estimated_input_tokens, estimated_tokens
from app.models.pace import Pace
from app.models.prices import Price
from app.models.protocol import Beside, Completion, Model, ModelRequest, OnBeside, OnText, unheard
from app.telemetry import metrics

OnAttempt = Callable[[Attempt], None]
"""Told of each attempt as soon as it is over, and before what it raises is raised."""


def unpaid(_: Attempt) -> None:
    """For callers that keep no accounts."""


_CUT = frozenset({"timeout", "disconnected", "cut_stream", "broken_answer"})
"""Failures of calls that a provider may charge for."""


class _Heard(Struct, frozen=True):
    """What a model had written when its call was cut."""

    written: str
    reasoned: bool
    silent_seconds: float
    """Until its first text or reasoning."""
    seconds: float


class ObservedModel:
    """A provider's model with its price. Built once a process and shared by all runs."""

    def __init__(self, model: Model, price: Price) -> None:
        self.model = model
        self.price = price
        self.dearest = price
        """What a reservation has to reckon with."""
        self.ref, self.provider, self.name = model.ref, model.provider, model.name
        self.pace = Pace()
        """Of its calls in this process."""

    @property
    def context_window(self) -> int | None:
        return self.model.context_window

    @property
    def reasons(self) -> bool:
        return self.model.reasons

    async def generate(
        self, request: ModelRequest, on_text: OnText, on_beside: OnBeside = unheard, on_attempt: OnAttempt = unpaid
    ) -> Completion:
        """As Model.generate; the completion says which model answered and what it cost."""
        started = perf_counter()
        pieces: list[str] = []
        silent: float | None = None
        reasoned = False

        def begin() -> None:
            nonlocal silent
            silent = perf_counter() - started
            if request.stream:
                metrics.TIME_TO_FIRST_TOKEN.labels(self.ref).observe(silent)

        def hear(text: str) -> None:
            if silent is None:
                begin()
            pieces.append(text)
            on_text(text)

        def hear_beside(kind: Beside, text: str) -> None:
            nonlocal reasoned
            pieces.append(text)
            if kind == "reasoning":
                reasoned = True
                if silent is None:
                    begin()
            on_beside(kind, text)

        try:
            completion = await self.model.generate(request, hear, hear_beside)
        except BaseException as error:
            seconds = perf_counter() - started
            heard = _Heard("".join(pieces), reasoned, seconds if silent is None else silent, seconds)
            self._cut(request, heard, error, on_attempt)
            raise
        seconds = perf_counter() - started
        attempt = Attempt(self.ref, completion.usage, self._nanos(completion.usage))
        record_answer(attempt, seconds)
        self.pace.add(completion.usage.output_tokens, seconds)
        on_attempt(attempt)
        return replace(completion, model=self.ref, nanos=attempt.nanos)

    def _nanos(self, usage: Usage) -> int:
        return round(self.price.cost_usd(usage) * NANOS)

    def _cut(self, request: ModelRequest, heard: _Heard, error: BaseException, on_attempt: OnAttempt) -> None:
        usage = self._used_when_cut(request, heard, error)
        attempt = None if usage is None else Attempt(self.ref, usage, self._nanos(usage), uncertain=True)
        record_failure(self.ref, error, heard.seconds, attempt)
        if attempt is not None:
            on_attempt(attempt)

    def _used_when_cut(self, request: ModelRequest, heard: _Heard, error: BaseException) -> Usage | None:
        """Estimated usage of a failed or cancelled call, or None if it never reached its provider or was refused.

        A stream tells what the model wrote, except for reasoning that its provider keeps to itself. A plain call tells
        nothing: the time it took, at the pace of the model's other calls, is what it can have written.
        """
        cancelled = not isinstance(error, Exception)
        cut = isinstance(error, ModelError) and error.reason in _CUT
        told = estimated_tokens(heard.written)
        if not (cancelled or cut or told):
            return None
        maximum = request.max_tokens + request.max_reasoning_tokens
        if not request.stream:
            told = max(told, self.pace.written(heard.seconds))
        elif self.reasons and not heard.reasoned:
            told += min(self.pace.written(heard.silent_seconds), request.max_reasoning_tokens)
        return Usage(estimated_input_tokens(request), min(told, maximum))

    async def probe(self) -> None:
        await self.model.probe()

    async def aclose(self) -> None:
        await self.model.aclose()
