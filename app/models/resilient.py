"""One model call as runs make it: a span, the gates before the model, a first attempt and its retries."""

from math import inf

from opentelemetry.trace import Span, SpanKind
from opentelemetry.util.types import AttributeValue

from app.models.observed import ObservedModel, OnAttempt, unpaid
from app.models.pace import Pace
from app.models.prices import Price
from app.models.protocol import Completion, ModelRequest, OnBeside, OnText, unheard
from app.telemetry.traces import Tracing


class ResilientModel:
    """A model as runs call it. Built once a process and shared by all runs."""

    def __init__(self, observed: ObservedModel, tracing: Tracing | None = None) -> None:
        self.observed = observed
        self.ref, self.provider, self.name = observed.ref, observed.provider, observed.name
        self.price: Price = observed.price
        self.dearest: Price = observed.dearest
        """What a reservation has to reckon with."""
        self._span = f"chat {self.name}"
        self._tracing = tracing or Tracing(None)

    @property
    def context_window(self) -> int | None:
        return self.observed.context_window

    @property
    def reasons(self) -> bool:
        return self.observed.reasons

    @property
    def healthy(self) -> bool:
        """Whether its next call can be expected to be let through: it neither rests nor is its breaker open."""
        return True

    @property
    def pace(self) -> Pace:
        return self.observed.pace

    async def generate(
        self,
        request: ModelRequest,
        on_text: OnText,
        on_beside: OnBeside = unheard,
        on_attempt: OnAttempt = unpaid,
        ends_at: float = inf,
    ) -> Completion:
        """As Model.generate; the completion says which model answered and what it cost. `on_attempt` is told of each
        attempt. No attempt begins after `ends_at`, on the event loop's clock."""
        with self._tracing.span(self._span, self._attributes, request, SpanKind.CLIENT) as span:
            completion = await self.observed.generate(request, on_text, on_beside, on_attempt)
            if span.is_recording():
                _describe(span, completion)
        return completion

    def _attributes(self, request: ModelRequest) -> dict[str, AttributeValue]:
        return {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.name,
            "gen_ai.request.max_tokens": request.max_tokens,
            "gen_ai.request.stream": request.stream,
        }

    async def probe(self) -> None:
        await self.observed.probe()

    async def aclose(self) -> None:
        await self.observed.aclose()


def _describe(span: Span, completion: Completion) -> None:
    usage = completion.usage
    span.set_attributes(
        {
            "gen_ai.response.finish_reasons": [completion.stop_reason],
            "gen_ai.usage.input_tokens": usage.input_tokens,
            "gen_ai.usage.output_tokens": usage.output_tokens,
            "gen_ai.usage.cache_read.input_tokens": usage.cache_read_tokens,
            "gen_ai.usage.cache_creation.input_tokens": usage.cache_write_tokens,
            "agent.cost_usd": completion.cost_usd,
            "agent.attempts": completion.attempts,
        }
    )
