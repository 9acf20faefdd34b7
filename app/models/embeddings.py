"""Embeddings of texts by Ollama or by any server that speaks OpenAI's API, with what they cost."""

import asyncio
from collections.abc import Sequence
from math import isfinite
from time import perf_counter

import msgspec
from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from app.errors import ConfigurationError
from app.messages import NANOS, Usage
from app.models.call_records import Attempt, count_unpriced, record_answer, record_failure
from app.models.catalog import provider_key
from app.models.cut_calls import done_by_then
from app.models.embedding_wire import FORMATS, Embedded, Format, Vector
from app.models.estimates import estimated_tokens
from app.models.failure_table import rule_of
from app.models.observed import OnAttempt, unpaid
from app.models.prices import FREE, UNKNOWN, Price, embedding_price_of, is_openai
from app.models.providers.failures import unavailable
from app.models.providers.http import Http, read
from app.settings import Settings
from app.telemetry import conventions
from app.telemetry.traces import Tracing
from app.tls import client_context

MAX_TEXTS = 16
"""Texts of one call."""

CALL_SECONDS = 1.0
"""A call's deadline: whoever asks for an embedding goes on without one."""


class Embeddings:
    """One embedding model. Built once a process and shared by all runs."""

    def __init__(
        self,
        ref: str,
        base_url: str,
        http: Http,
        *,
        api_key: str | None = None,
        price: Price = FREE,
        tracing: Tracing | None = None,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        self.ref = ref
        self.provider, _, self.name = ref.partition("/")
        self._format: Format = FORMATS[self.provider]
        self._url = base_url + self._format.path
        self._headers = {"Content-Type": "application/json"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._http = http
        self._price = price
        self._tracing = tracing or Tracing(None)
        self._call_seconds = call_seconds

    async def embed(self, texts: Sequence[str], on_attempt: OnAttempt = unpaid) -> Sequence[Vector]:
        """A vector of each text, in their order and of one length, by one call. Cancelling closes its connection.

        Raises ModelError, and what else a provider's refusal becomes: ContextTooLong, ContentFiltered.
        """
        if not 0 < len(texts) <= MAX_TEXTS:
            raise ValueError(f"{len(texts)} texts: one call takes 1 to {MAX_TEXTS}")
        started = perf_counter()
        with self._tracing.span(
            f"{conventions.EMBEDDINGS} {self.name}", self._attributes, None, SpanKind.CLIENT
        ) as span:
            try:
                embedded = await self._bounded_call(texts)
            except BaseException as error:
                seconds = perf_counter() - started
                attempt = self._cut(texts, error, seconds) if rule_of(error).pays == "uncertain" else None
                record_failure(self.ref, error, seconds, attempt, number=1)
                if attempt is not None:
                    on_attempt(attempt)
                    if span.is_recording():
                        span.set_attributes(_bill(attempt))
                raise
            usage = Usage(embedded.tokens, 0) if embedded.tokens is not None else self._estimate(texts)
            attempt = self._attempt(usage)
            record_answer(attempt, perf_counter() - started, number=1)
            if span.is_recording():
                span.set_attributes(_bill(attempt))
        on_attempt(attempt)
        return embedded.vectors

    async def _bounded_call(self, texts: Sequence[str]) -> Embedded:
        try:
            async with asyncio.timeout(self._call_seconds) as deadline:
                return await self._call(texts)
        except TimeoutError as error:
            if not deadline.expired():
                raise
            raise unavailable("timeout", f"no embedding within {self._call_seconds:g} s") from error

    async def _call(self, texts: Sequence[str]) -> Embedded:
        body = msgspec.json.encode({"model": self.name, "input": texts, **self._format.extra})
        async with self._http.call("POST", self._url, body, self._headers) as response:
            answer = await read(response)
        try:
            embedded = self._format.read(answer)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unavailable("broken_answer", "no embeddings", words=str(error)) from error
        if len(embedded.vectors) != len(texts) or not _are_alike(embedded.vectors):
            raise unavailable("broken_answer", f"{len(embedded.vectors)} unusable embeddings of {len(texts)} texts")
        return embedded

    def _attempt(self, usage: Usage) -> Attempt:
        count_unpriced(self.ref, self._price)
        return Attempt(self.ref, usage, self._nanos(usage))

    def _cut(self, texts: Sequence[str], error: BaseException, seconds: float) -> Attempt:
        count_unpriced(self.ref, self._price)
        usage = self._estimate(texts)
        done = done_by_then(usage, error, seconds, heard=False)
        shared = (done.total, self._nanos(done))
        return Attempt(self.ref, usage, self._nanos(usage), uncertain=True, shared=shared)

    def _nanos(self, usage: Usage) -> int:
        return round(self._price.cost_usd(usage) * NANOS)

    def _estimate(self, texts: Sequence[str]) -> Usage:
        return Usage(sum(map(estimated_tokens, texts)), 0)

    def _attributes(self, _: None) -> dict[str, AttributeValue]:
        return {
            conventions.OPERATION: conventions.EMBEDDINGS,
            conventions.PROVIDER: self.provider,
            conventions.REQUEST_MODEL: self.name,
        }

    async def aclose(self) -> None:
        await self._http.aclose()


def _bill(attempt: Attempt) -> dict[str, AttributeValue]:
    bill: dict[str, AttributeValue] = {
        conventions.INPUT_TOKENS: attempt.usage.input_tokens,
        conventions.COST_USD: attempt.cost_usd,
    }
    return {**bill, conventions.UNCERTAIN: True} if attempt.uncertain else bill


def _are_alike(vectors: Sequence[Vector]) -> bool:
    length = len(vectors[0])
    return length > 0 and all(len(vector) == length and all(map(isfinite, vector)) for vector in vectors)


def build_embeddings(settings: Settings, tracing: Tracing | None = None) -> Embeddings:
    """The model of EMBEDDING_MODEL, which check_embedding_model has let in. Raises ConfigurationError without a key
    that it needs. A model that is not in OpenAI's price list, or not at OpenAI, is counted as $0."""
    ref = settings.embedding_model
    http = Http(tls=None if settings.tls_strict else client_context(strict=False), tracing=tracing)
    if ref.startswith("ollama/"):
        return Embeddings(ref, settings.ollama_api_base, http, tracing=tracing)
    base_url = settings.openai_base_url
    key = provider_key("OPENAI_API_KEY", settings.openai_api_key)
    if is_openai(base_url) and not key:
        raise ConfigurationError(f"OPENAI_API_KEY: is not set, and EMBEDDING_MODEL is `{ref}` at OpenAI itself")
    price = embedding_price_of(ref, base_url) or UNKNOWN
    return Embeddings(ref, base_url, http, api_key=key, price=price, tracing=tracing)
