"""One model call as runs make it: the gates before the model, a first attempt, and after a failure its retries."""

import asyncio
from collections.abc import Coroutine
from functools import partial
from math import inf
from time import perf_counter
from typing import Any

from msgspec import Struct
from opentelemetry.trace import Span, SpanKind

from app.errors import AppError, ModelRateLimited
from app.models.batching import BatchApi
from app.models.breaker import Breaker
from app.models.bulkhead import Bulkhead
from app.models.call_spans import CallRecord, of_call
from app.models.circuit import Call as Entered
from app.models.failure_table import GATES, class_of, rule_of
from app.models.observed import ObservedModel, OnAttempt, unpaid
from app.models.prices import Price
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.models.resting import Resting
from app.models.retries import Retries, again
from app.models.trail import Trail
from app.telemetry import metrics
from app.telemetry.conventions import CHAT, FIRST_CONTENT, MODEL_REFUSED, REFUSED_REASON
from app.telemetry.exemplars import exemplar
from app.telemetry.recorded_spans import count_sends
from app.telemetry.traces import Tracing


class _Call(Struct):
    """One call of a model: what is asked, and how far it is."""

    record: CallRecord
    request: ModelRequest
    on_text: OnText
    on_beside: OnBeside
    on_attempt: OnAttempt
    ends_at: float
    spare: bool
    trail: Trail
    entered: Entered | None = None  # the attempt of now
    begun: bool = False  # content has gone out
    span: Span | None = None  # None: nothing is recorded

    def begin(self) -> None:
        self.begun = True
        if self.span is not None:
            self.record.first = perf_counter()
            self.span.add_event(FIRST_CONTENT)
        if self.entered is not None:
            self.entered.good()


class ResilientModel:
    """A model as runs call it. Built once a process and shared by all runs.

    Each attempt passes the gates that there are: `resting`, `breaker`, `bulkhead`. What they refuse is no attempt.
    """

    def __init__(
        self,
        observed: ObservedModel,
        retries: Retries | None = None,
        tracing: Tracing | None = None,
        *,
        breaker: Breaker | None = None,
        bulkhead: Bulkhead | None = None,
    ) -> None:
        self.observed = observed
        self.ref, self.provider, self.name = observed.ref, observed.provider, observed.name
        self.price: Price = observed.price
        self.dearest: Price = observed.dearest
        """What a reservation has to reckon with."""
        self.pace = observed.pace
        self.resting: Resting = getattr(observed.model, "resting", None) or Resting(self.ref)
        self.breaker = breaker
        self.bulkhead = bulkhead
        self._retries = retries
        self._span = f"{CHAT} {self.name}"
        self._describe = partial(of_call, self.provider, self.name)
        self._tracing = tracing or Tracing(None)

    @property
    def context_window(self) -> int | None:
        return self.observed.model.context_window

    @property
    def reasons(self) -> bool:
        return self.observed.model.reasons

    @property
    def batches(self) -> BatchApi | None:
        """The provider's batch API; None: it has none."""
        api: BatchApi | None = getattr(self.observed.model, "batches", None)
        return api

    @property
    def healthy(self) -> bool:
        """Whether its next call can be expected to be let through: it neither rests nor keeps failing."""
        return self.resting.state() is None and (self.breaker is None or self.breaker.admits)

    async def generate(
        self,
        request: ModelRequest,
        on_text: OnText,
        on_beside: OnBeside = unheard,
        on_attempt: OnAttempt = unpaid,
        ends_at: float = inf,
        *,
        spare: bool = False,
        trail: Trail | None = None,
    ) -> Completion:
        """As Model.generate; the completion says which model answered, at which attempt, and what that one cost.

        `on_attempt` is told of each attempt. Nothing is tried again once content has gone out. `ends_at`, on the event
        loop's clock, is when the first content has to be there, or the whole answer of a plain call. `spare`: another
        model could answer instead of one that asks to wait. `trail`: the run's calls so far.
        """
        trail = trail or Trail()
        record = CallRecord(request, self.price)
        call = _Call(record, request, on_text, on_beside, on_attempt, ends_at, spare, trail)
        links = () if trail.replaced is None else trail.take_links()
        with self._tracing.span(self._span, self._describe, record, SpanKind.CLIENT, links) as span:
            trail.last = span
            if not span.is_recording():
                completion = await self._complete(call)
            elif self._tracing.content:
                completion = await self._with_content(call, span)
            else:
                _observe(call, span)
                completion = record.completion = await self._complete(call)
        if self._retries is not None:
            self._retries.earn()
        return completion

    async def _complete(self, call: _Call) -> Completion:
        try:
            return await self._attempt(call)
        except AppError as error:
            return await self._again_or_raise(call, error)

    async def _with_content(self, call: _Call, span: Span) -> Completion:
        record = call.record
        _observe(call, span)
        record.tell_question(span)
        call.on_text = record.listening(call.on_text)
        try:
            record.completion = await self._complete(call)
            return record.completion
        finally:
            record.tell_answer(span)

    async def _again_or_raise(self, call: _Call, error: AppError) -> Completion:
        retries = self._retries
        try:
            if retries is None or call.begun or not retries.may_help(error, 1, spare=call.spare):
                raise error
            return await self._again(call, error, retries)
        except AppError as last:
            if (reason := class_of(last)) in GATES:
                metrics.MODEL_REFUSALS.labels(self.ref, reason).inc(1, exemplar())
                if call.span is not None:
                    call.span.add_event(MODEL_REFUSED, {REFUSED_REASON: reason})
            raise

    async def _again(self, call: _Call, error: AppError, retries: Retries) -> Completion:
        clock = asyncio.get_running_loop().time

        def wait(error: BaseException, failed: int) -> float | None:
            if call.begun:
                return None
            rest = self.resting.state()
            return retries.wait(
                error, failed, call.ends_at - clock(), 0.0 if rest is None else rest[1], spare=call.spare
            )

        return await again(error, lambda _: self._attempt(call), wait)

    def _attempt(self, call: _Call) -> Coroutine[Any, Any, Completion]:
        """No coroutine itself: each that is nested costs."""
        self.resting.check()
        return self._let_in(call) if self.bulkhead is None else self._in_turn(call, self.bulkhead)

    async def _in_turn(self, call: _Call, bulkhead: Bulkhead) -> Completion:
        if self.breaker is not None:
            self.breaker.check()
        began = perf_counter()
        try:
            await bulkhead.enter(call.ends_at)
        finally:
            call.trail.queued_seconds += perf_counter() - began
        try:
            self.resting.check()  # what was right before the queue may be wrong after it
            return await self._let_in(call)
        finally:
            bulkhead.leave()

    async def _let_in(self, call: _Call) -> Completion:
        entered = call.entered = None if self.breaker is None else self.breaker.enter()
        try:
            call.record.tried += 1
            call.trail.attempts += 1
            completion = await self.observed.generate(
                call.request, call.on_text, call.on_beside, call.on_attempt, call.ends_at, call.begin, call.record.tried
            )
        except BaseException as error:
            self._failed(error, entered)
            raise
        else:
            self.resting.answered()
            if entered is not None:
                entered.good()
            return completion
        finally:
            if entered is not None:
                entered.leave()

    def _failed(self, error: BaseException, entered: Entered | None) -> None:
        """Tell the gates what concerns them."""
        rule = rule_of(error)
        if entered is not None and rule.breaker:
            entered.bad()
        if not rule.rest or not isinstance(error, AppError):
            return
        if isinstance(error, ModelRateLimited):
            self.resting.rest(error.retry_after)
        elif error.retry_after is not None:
            self.resting.rest(error.retry_after, "overloaded")

    async def probe(self) -> None:
        await (self.observed if self.breaker is None else self.breaker).probe()

    async def aclose(self) -> None:
        if self.breaker is not None:
            await self.breaker.aclose()
        await self.observed.aclose()


def _observe(call: _Call, span: Span) -> None:
    """Have the span tell of the call, which begins now."""
    call.span = span
    call.record.started = perf_counter()
    call.on_attempt = call.record.paying(call.on_attempt)
    count_sends(span)
