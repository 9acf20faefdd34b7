"""One attempt of a model call: a log line, metrics and a price, however it ends."""

from collections.abc import Callable
from math import inf
from time import perf_counter

from msgspec.structs import replace

from app.messages import NANOS, Usage
from app.models.call_records import (
    Attempt,
    count_unpriced,
    record_answer,
    record_failure,
    record_first_token,
    record_writing,
)
from app.models.cut_calls import Heard, done_by_then, used_when_cut
from app.models.pace import Pace
from app.models.prices import Price
from app.models.protocol import Beside, Completion, Model, ModelRequest, OnBeside, OnText, unheard
from app.models.silence import Deadlines, Silence, Watch

OnAttempt = Callable[[Attempt], None]
"""Told of each attempt as soon as it is over, and before what it raises is raised."""


def unpaid(_: Attempt) -> None:
    """For callers that keep no accounts."""


def _nothing() -> None:
    """For callers that do not care when an answer begins."""


class ObservedModel:
    """A provider's model with its price. Built once a process and shared by all runs."""

    def __init__(self, model: Model, price: Price, deadlines: Deadlines | None = None) -> None:
        self.model = model
        self.price = price
        self.dearest = price
        """What a reservation has to reckon with."""
        self.ref, self.provider, self.name = model.ref, model.provider, model.name
        self.pace = Pace()
        """Of its calls in this process."""
        self._watch = Watch(deadlines or Deadlines(), getattr(model, "wait_loaded", None))

    async def generate(
        self,
        request: ModelRequest,
        on_text: OnText,
        on_beside: OnBeside = unheard,
        on_attempt: OnAttempt = unpaid,
        ends_at: float = inf,
        on_content: Callable[[], None] = _nothing,
        number: int = 1,
    ) -> Completion:
        """As Model.generate; the completion says which model answered and what it cost.

        Raises ModelUnavailable as well when the model is silent for too long. `on_content` is told
        before the first piece, of text or beside it. `number` is the attempt's within its call.
        """
        started = perf_counter()
        silence = Silence(self._watch, request, ends_at)
        clock = silence.clock
        pieces: list[str] = []
        silent: float | None = None
        reasoned = False
        untold = 0

        def begin() -> None:
            nonlocal silent
            silent = perf_counter() - started
            if request.stream:
                record_first_token(self.ref, silent)

        def hear(text: str) -> None:
            nonlocal untold
            silence.heard_at = clock()
            untold = 0
            if silent is None:
                begin()
            if not pieces:
                on_content()
            pieces.append(text)
            on_text(text)

        def hear_beside(kind: Beside, text: str) -> None:
            nonlocal reasoned, untold
            silence.heard_at = clock()
            if not text:
                untold += 1
                return
            untold = 0
            if not pieces:
                on_content()
            pieces.append(text)
            if kind == "reasoning":
                reasoned = True
                if silent is None:
                    begin()
            on_beside(kind, text)

        try:
            with silence:
                completion = await self.model.generate(request, hear, hear_beside)
        except BaseException as error:
            seconds = perf_counter() - started
            heard = Heard("".join(pieces), untold, reasoned, seconds if silent is None else silent, seconds)
            self._cut(request, heard, error, on_attempt, number)
            raise
        seconds = perf_counter() - started
        attempt = Attempt(self.ref, completion.usage, self._nanos(completion.usage))
        record_answer(attempt, seconds, number)
        count_unpriced(self.ref, self.price)
        if silent is not None and request.stream:
            record_writing(self.ref, seconds - silent, completion.usage.output_tokens)
        self.pace.add(completion.usage.output_tokens, seconds)
        on_attempt(attempt)
        return replace(completion, model=self.ref, nanos=attempt.nanos, attempts=number)

    def _nanos(self, usage: Usage) -> int:
        return round(self.price.cost_usd(usage) * NANOS)

    def _cut(
        self, request: ModelRequest, heard: Heard, error: BaseException, on_attempt: OnAttempt, number: int
    ) -> None:
        usage = used_when_cut(request, heard, error, self.pace, reasons=self.model.reasons)
        attempt = None if usage is None else self._estimated(usage, heard, error)
        record_failure(self.ref, error, heard.seconds, attempt, number)
        if attempt is not None:
            on_attempt(attempt)

    def _estimated(self, usage: Usage, heard: Heard, error: BaseException) -> Attempt:
        certain = done_by_then(usage, error, heard.seconds, heard=bool(heard.written or heard.untold))
        count_unpriced(self.ref, self.price)
        shared = None if certain is usage else (certain.total, self._nanos(certain))
        return Attempt(self.ref, usage, self._nanos(usage), uncertain=True, shared=shared)

    async def probe(self) -> None:
        await self.model.probe()

    async def aclose(self) -> None:
        await self.model.aclose()
