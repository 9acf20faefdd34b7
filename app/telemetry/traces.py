"""OpenTelemetry traces over OTLP/gRPC, off unless an endpoint is set.

Whether a request is sampled is decided once, before it enters the instrumentation, from a trace id made here; an
unsampled request then meets no instrumentation at all, yet has a trace id for its answer and its log lines. The SDK
reaches the same decision, since it samples by that id.

The SDK, gRPC and protobuf are imported only when tracing is on.
"""

import asyncio
import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from random import getrandbits
from threading import Thread
from types import TracebackType
from typing import TYPE_CHECKING, TypeVar

from opentelemetry import context, trace
from opentelemetry.trace import INVALID_SPAN, Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import AttributeValue

from app import __version__
from app.errors import AppError
from app.settings import Settings
from app.telemetry.context import current
from app.telemetry.conventions import ERROR_TYPE
from app.telemetry.otlp import check_endpoint, hide_secret_headers
from app.telemetry.propagation import NOBODY, Propagation, hosts_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

T = TypeVar("T")
Attributes = Mapping[str, AttributeValue]
_FLUSH_SECONDS = 2.0
_NOT_RECORDING = nullcontext(INVALID_SPAN)
_propagator = TraceContextTextMapPropagator()


class Tracing:
    """The process's tracing. `Tracing(None)` is off: it hands out trace ids and samples nothing."""

    def __init__(
        self, provider: "TracerProvider | None", propagation: Propagation = NOBODY, *, content: bool = False
    ) -> None:
        """`propagation` says which servers are told of requests; `content`: spans have what is said, too."""
        self.provider = provider
        self.propagation = propagation
        self.content = content
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
        """A span under the current one if the request is sampled, with the attributes of `of`; else one that records
        nothing. The only way to open one."""
        if not current.get().sampled:
            return _NOT_RECORDING
        return _Recording(self.tracer.start_span(name, kind=kind, attributes=attributes(of), links=links))

    async def aclose(self) -> None:
        """Export what is left, for at most a few seconds: a collector that is away must not hold the process."""
        if self.provider is not None:
            flushing = Thread(target=self.provider.shutdown, name="traces-flush", daemon=True)
            flushing.start()
            deadline = time.monotonic() + _FLUSH_SECONDS
            while flushing.is_alive() and time.monotonic() < deadline:  # noqa: ASYNC110 - a thread has no event to await
                await asyncio.sleep(0.02)


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


def fail(span: Span, error: BaseException) -> None:
    """Mark a span as failed by the error's kind; its words may hold what users said and stay out of traces."""
    kind = error.slug if isinstance(error, AppError) else type(error).__name__
    span.set_attribute(ERROR_TYPE, kind)
    span.set_status(Status(StatusCode.ERROR, kind))


def endpoint_is_set() -> bool:
    """True if the environment names an OTLP endpoint; OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER=none win."""
    if os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true" or os.environ.get("OTEL_TRACES_EXPORTER") == "none":
        return False
    return bool(os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT") or os.environ.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))


def configure(settings: Settings) -> Tracing:
    """Tracing as the settings and OpenTelemetry's own environment variables (`OTEL_*`) have it. Raises
    ConfigurationError."""
    propagation = Propagation(hosts_of(settings))
    if not endpoint_is_set():
        return Tracing(None, propagation)
    check_endpoint()
    hide_secret_headers()
    from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor
    from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

    from app.telemetry.dialects import translator
    from app.telemetry.scrubbed_spans import ScrubbedExporter

    class RequestIds(RandomIdGenerator):
        """Gives a request's first span the trace id that the request was sampled by."""

        def generate_trace_id(self) -> int:
            trace_id = current.get().trace_id
            return int(trace_id, 16) if trace_id else super().generate_trace_id()

    os.environ.setdefault("OTEL_SERVICE_NAME", "agent-api")
    os.environ.setdefault("OTEL_SEMCONV_STABILITY_OPT_IN", "http")  # today's names of HTTP attributes
    os.environ.setdefault("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "64")  # the SDK's 512 hold the interpreter for 20 ms
    provider = TracerProvider(
        resource=Resource.create({"service.version": __version__}),
        id_generator=RequestIds(),
        shutdown_on_exit=False,
    )
    exporter = ScrubbedExporter(OTLPSpanExporter(), translator(settings.trace_dialects))
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return Tracing(provider, propagation, content=settings.trace_content)
