"""OpenTelemetry traces over OTLP, off unless an endpoint is set.

Whether a request is sampled is decided once, before it enters the instrumentation, from a trace id made here; an
unsampled request then meets no instrumentation at all, yet has a trace id for its answer and its log lines. The SDK
reaches the same decision, since it samples by that id. With late sampling an unsampled run keeps records, which become
spans once it is over if it failed, was slow or dear or changed its model.

The SDK and the exporter are imported only when tracing is on.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from random import getrandbits
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import Link, Span, SpanContext, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app import __version__
from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.failing import fail
from app.telemetry.late import NOT_RECORDING, LateTrace, Worth
from app.telemetry.late_spans import Attributes
from app.telemetry.logs import log
from app.telemetry.otlp import check_environment, endpoint_is_set, hide_secret_headers
from app.telemetry.propagation import NOBODY, Propagation, hosts_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from app.telemetry.exporting import CountedProcessor

T = TypeVar("T")
_FLUSH_SECONDS = 1.0
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The process's tracing. `Tracing(None)` is off: it hands out trace ids and samples nothing."""

    def __init__(
        self,
        provider: "TracerProvider | None",
        propagation: Propagation = NOBODY,
        *,
        processor: "CountedProcessor | None" = None,
        begin_late: Callable[[str], LateTrace] | None = None,
        content: bool = False,
    ) -> None:
        """`propagation` says which servers are told of requests; `content`: spans have what is said, too."""
        self.provider = provider
        self.propagation = propagation
        self.content = content
        self.begin_late = begin_late
        """Begins the records of an unsampled request by its trace id; None: late sampling is off."""
        self._processor = processor
        self.tracer = trace.get_tracer("agent-api", __version__, provider)
        if provider is not None:
            from opentelemetry.sdk.trace.sampling import Decision  # loaded with the provider

            self._drop = Decision.DROP

    def decide(self, traceparent: str | None) -> tuple[str, bool]:
        """The trace id of a request, and whether it is sampled. `traceparent` is the request's W3C header, if whoever
        sent it is to be believed."""
        remote = _propagator.extract({"traceparent": traceparent}) if traceparent else None
        parent = trace.get_current_span(remote).get_span_context() if remote is not None else None
        known = parent is not None and parent.is_valid
        trace_id = parent.trace_id if parent is not None and known else getrandbits(128) or 1
        if self.provider is None:
            return f"{trace_id:032x}", False
        result = self.provider.sampler.should_sample(remote if known else None, trace_id, "request", SpanKind.SERVER)
        return f"{trace_id:032x}", result.decision is not self._drop

    def span(
        self,
        name: str,
        attributes: Callable[[T], Attributes],
        of: T,
        kind: SpanKind = SpanKind.INTERNAL,
        links: Sequence[Link] = (),
    ) -> AbstractContextManager[Span]:
        """A span under the current one with the attributes of `of`: a real one if the request is sampled, a record if
        it may be sampled late, else one that records nothing. The only way to open one."""
        request = current.get()
        if request.sampled:
            return _Recording(self.tracer.start_span(name, kind=kind, attributes=attributes(of), links=links))
        return NOT_RECORDING if request.late is None else request.late.span(name, attributes, of, kind, links)

    async def aclose(self) -> None:
        """Export what is left, for at most a few seconds: a collector that is away must not hold the process."""
        if self._processor is not None:
            account = await asyncio.to_thread(self._processor.finish, _FLUSH_SECONDS)
            log.info("traces.end", made=account.made, exported=account.exported, **account.dropped)


class _Recording:
    """A span that is the current one within a block, which ends it."""

    __slots__ = ("_span", "_token")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> Span:
        self._token = context.attach(trace.set_span_in_context(self._span))
        return self._span

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, stack: TracebackType | None
    ) -> None:
        context.detach(self._token)
        if error is not None:
            fail(self._span, error)
        self._span.end()


def caller_of(headers: Iterable[tuple[bytes, bytes]]) -> SpanContext | None:
    """The span that a request's `traceparent` names; None without one that can be read."""
    given = next((value for name, value in headers if name == b"traceparent"), None)
    if given is None:
        return None
    context = trace.get_current_span(_propagator.extract({"traceparent": given.decode("latin-1")})).get_span_context()
    return context if context.is_valid else None


def link_to(traceparent: str) -> Sequence[Link]:
    """The link of a span to the one that is named so; none without a name."""
    caller = caller_of([(b"traceparent", traceparent.encode())]) if traceparent else None
    return () if caller is None else (Link(caller),)


@contextmanager
def below(traceparent: str) -> Iterator[None]:
    """Have spans be below the one of another process that is named so."""
    token = context.attach(_propagator.extract({"traceparent": traceparent}))
    try:
        yield
    finally:
        context.detach(token)


def configure(settings: Settings) -> Tracing:
    """Tracing as the settings and OpenTelemetry's own environment variables (`OTEL_*`) have it. Raises
    ConfigurationError."""
    propagation = Propagation(hosts_of(settings))
    if not endpoint_is_set():
        return Tracing(None, propagation)
    check_environment()
    hide_secret_headers()
    from app.telemetry.provider import build

    provider, processor = build(settings.trace_dialects)
    begin_late = None
    if (worth := Worth.of(settings)) is not None:
        from app.telemetry.replay import Replay

        begin_late = partial(LateTrace, worth=worth, keep=Replay(provider.resource, processor))
    return Tracing(provider, propagation, processor=processor, begin_late=begin_late, content=settings.trace_content)
